// Destinations and services: who answers, who does not, and what waits for them.

import { get } from '../api.js'
import { html } from '../dom.js'
import { count } from '../format.js'
import { usePoll } from '../live.js'
import { Badge, Empty, Loaded, Moment, Table } from '../ui.js'
import { Parked } from './parked.js'

const HEALTH = '/api/monitoring/health'
const SERVICES = [['database', 'Database'], ['broker', 'Broker'], ['workers', 'Workers'], ['destinations', 'Destinations']]

export function Destinations() {
  const health = usePoll(() => get(`${HEALTH}/destinations`), 2, true, [])
  return html`<div class="head"><h1>Destinations and services</h1></div>
    <${Services} />
    <div><${Loaded} ...${health}>${({ destinations, parked }) => html`<${Known} destinations=${destinations} /><${Parked} parked=${parked} />`}</${Loaded}></div>`
}

function Services() {
  const services = usePoll(() => Promise.all(SERVICES.map(([name]) => healthOf(name))), 5, true, [])
  const server = usePoll(() => get('/api/monitoring/status'), 30, true, [])
  return html`<div class="card"><div class="head service-head"><h2>Services</h2>${server.value && html`<span class="soft">HL7 Yeeter ${server.value.version}</span>`}</div>
    <${Loaded} ...${services}>${(found) => html`<${Table} label="Services" rows=${found.map((each, index) => ({ ...each, title: SERVICES[index][1] }))} columns=${[
      ['Service', (each) => each.title],
      ['State', (each) => html`<${Badge} word=${each.ready ? 'well' : 'not well'} kind=${each.ready ? 'good' : 'bad'} />`],
      ['Detail', (each) => html`<span>${each.detail}${each.draining ? `; ${count(each.draining)} take no more` : ''}</span>`],
    ]} />`}</${Loaded}></div>`
}

// That one can't be told must not hide the others.
const healthOf = (name) => get(`${HEALTH}/${name}`).catch((error) => ({ ready: false, detail: error.message }))

function Known({ destinations }) {
  if (!destinations.length) {
    return html`<div class="card"><h2>Destinations</h2><${Empty}><p><b>Nothing is held against any destination.</b></p>
      <p>One is listed when it has failed to answer: order receivers, and archives.</p></${Empty}></div>`
  }
  return html`<div class="card"><h2>Destinations</h2><${Table} label="Destinations" rows=${destinations} columns=${[
    ['Destination', (each) => html`<code>${each.key}</code>`],
    ['Breaker', (each) => html`<span title=${MEANINGS[each.state]}><${Badge} word=${each.state} /></span>`],
    ['Since', (each) => html`<${Moment} at=${each.since} />`],
    ['Faults in a row', (each) => count(each.faults), true],
    ['Parked jobs', (each) => count(each.parked_jobs), true],
    ['Tried again', (each) => (each.next_probe_at ? html`<${Moment} at=${each.next_probe_at} />` : '–')],
    ['Last fault', (each) => html`<div class="reason">${each.reason || '–'}</div>`],
  ]} /><p class="soft">Open: it is away; its jobs are parked, and one at a time is sent to find out. Closed: jobs flow.</p></div>`
}

const MEANINGS = { OPEN: 'It is away: its jobs are parked, and one at a time finds out', CLOSED: 'Jobs flow' }
