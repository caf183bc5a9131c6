// One order: what was sent, what came back, the study, and what became of it.

import { get } from '../api.js'
import { html } from '../dom.js'
import { count } from '../format.js'
import { day, person } from '../hl7.js'
import { isOver, usePoll } from '../live.js'
import { to } from '../router.js'
import { Badge, Empty, Loaded, Moment, Pairs } from '../ui.js'
import { EventTable } from './event_table.js'
import { Message } from './order_message.js'
import { Study } from './order_study.js'
import { Jobs, Steps } from './order_work.js'

export function Order({ run, number }) {
  const path = `/api/simulator/runs/${run.id}/orders/${encodeURIComponent(number)}`
  const { value, error } = usePoll(() => get(path), 2, !isOver(run.state), [path, run.state])
  const isToCome = error?.status === 404 && Number(number) < run.requested
  return html`<${Head} run=${run} number=${number} state=${value?.state} />
    ${isToCome ? html`<div class="card"><${Empty}><p>Order ${number} ${isOver(run.state) ? 'was never sent: the run ended before.' : 'is not sent yet.'}</p></${Empty}></div>`
      : html`<${Loaded} value=${value} error=${error}>${(order) => html`<${Whole} order=${order} path=${path} />`}</${Loaded}>`}`
}

function Head({ run, number, state }) {
  const here = Number(number)
  const orders = (place) => to('runs', run.run_key, 'orders', place)
  return html`<div class="head"><h2 class="title"><span class="soft">Order</span> ${number}</h2>${state && html`<${Badge} word=${state} />`}
    <nav class="actions" aria-label="Orders beside this one">
      ${here > 0 && html`<a class="button" rel="prev" href=${orders(here - 1)}>‹ Order ${here - 1}</a>`}
      ${here + 1 < run.requested && html`<a class="button" rel="next" href=${orders(here + 1)}>Order ${here + 1} ›</a>`}</nav></div>`
}

function Whole({ order, path }) {
  return html`${order.reason && html`<div class="note ${order.state === 'FAILED' ? 'bad' : 'open'}"><p>${order.reason}</p></div>`}
    ${order.possibly_duplicated && html`<div class="note open"><p>It was sent more than once without an answer to the first: the receiver may have it twice.</p></div>`}
    <div class="grid below"><${Patient} order=${order} /><${Times} order=${order} /></div>
    <${Message} title="Order message" text=${order.hl7.text} told=${order.hl7.character_set || 'ASCII'} />
    ${order.acknowledgement ? html`<${Message} title="Acknowledgement" text=${order.acknowledgement.text} told=${order.acknowledgement.code} />`
      : html`<div class="card"><h2>Acknowledgement</h2><p class="soft">None has come${order.state === 'SENDING' ? ' yet' : ''}.</p></div>`}
    <${Study} path=${path} study=${order.study} stored=${order.instances_stored} />
    <${Steps} steps=${order.steps} />
    <${Jobs} jobs=${order.jobs} />
    <div class="card"><h2>Events</h2><${EventTable} label="Events of the order" events=${order.events} /></div>`
}

const Patient = ({ order }) => html`<div class="card"><h2>Patient <span class="soft">(synthetic)</span></h2><${Pairs} pairs=${[
  ['Name', html`<span title=${order.patient_name}>${person(order.patient_name)}</span>`],
  ['Born', day(order.birth_date) || '–'],
  ['Sex', order.sex || '–'],
  ['Patient ID', html`<code>${order.patient_id}</code>`],
  ['Accession', html`<code>${order.accession}</code>`],
  ['Control ID', html`<code>${order.control_id}</code>`],
]} /></div>`

const Times = ({ order }) => html`<div class="card"><h2>Course</h2><${Pairs} pairs=${[
  ['Sent', html`<${Moment} at=${order.begun_at} />`],
  ['Acknowledged', order.acknowledged_at ? html`<${Moment} at=${order.acknowledged_at} /> <span class="badge ${/^.A$/.test(order.ack_code) ? 'good' : 'bad'}">${order.ack_code || 'no code'}</span>` : '–'],
  ['Ended', order.finished_at ? html`<${Moment} at=${order.finished_at} />` : '–'],
  ['Stored', `${count(order.instances_stored)} of ${count(order.instances)} images`],
  ['Study', html`<code>${order.study_uid}</code>`],
]} /></div>`
