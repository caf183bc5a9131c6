// One worker pool: its size, who set it, and what the autoscaler decided at each look.

import { post, save } from '../api.js'
import { Chart } from '../charts.js'
import { html, useMemo, useState } from '../dom.js'
import { count, rate } from '../format.js'
import { Pager, usePages } from '../pages.js'
import { Action, Badge, Loaded, Moment, Pairs, Table } from '../ui.js'
import { Scale } from './scale.js'

const DECISIONS = '/api/admin/scaling-decisions'
const PAGE = 200 // looks: 50 minutes, at one every 15 s
const workers = (many) => `${count(many)} ${many === 1 ? 'worker' : 'workers'}`

const TONES = { steady: 'good', out: 'live', in: 'live', pinned: 'open', held: 'bad' }

export function Pool({ pool, may }) {
  const decisions = usePages(DECISIONS, { pool: pool.name }, { limit: PAGE, seconds: 5 })
  return html`<section class="card" aria-label="Pool ${pool.name}">
    <div class="head"><h2>Pool ${pool.name}</h2>
      ${pool.pin && html`<${Badge} word="pinned" kind="open" />`}
      ${may('admin') && html`<div class="actions"><${Control} pool=${pool} /></div>`}</div>
    <${Facts} pool=${pool} />
    <${Loaded} ...${decisions}>${({ items }) => html`<${Course} pool=${pool.name} decisions=${items} />
      <${Decisions} pool=${pool.name} decisions=${items} pager=${decisions.pager} />`}</${Loaded}></section>`
}

function Control({ pool }) {
  const [open, setOpen] = useState(false)
  const release = () => post('/api/admin/workers/scale', { pool: pool.name, replicas: null })
  return html`<button onClick=${() => setOpen(true)}>Set the number …</button>
    ${pool.pin && html`<${Action} act=${release} done="Pool ${pool.name} is sized by its load again" confirm="The number of ${pool.pin.by} no longer counts; at its next look the autoscaler sizes the pool by its load.">Back to automatic</${Action}>`}
    ${open && html`<${Scale} pool=${pool} onClose=${() => setOpen(false)} />`}`
}

function Facts({ pool }) {
  const { decision, pin } = pool
  return html`<${Pairs} pairs=${[
    ['Deployment', html`<code>${pool.deployment}</code>`],
    ['Queues', pool.queues.map((queue) => html`<code>${queue}</code> `)],
    ['By the load', `${count(pool.min)} to ${workers(pool.max)}`],
    ['Size', decision ? `${workers(decision.after)} decided${decision.workers === null ? '' : `, ${count(decision.workers)} there`}` : 'no autoscaler has looked yet'],
    ['Pin', pin ? html`${workers(pin.replicas)} until <${Moment} at=${pin.until} />, by ${pin.by}` : 'none'],
    ['Last decision', decision ? html`<${Kind} decision=${decision} /> ${decision.reason} <span class="soft">(<${Moment} at=${decision.at} />)</span>` : html`none; <code>yeeter autoscaler</code> makes them`],
  ]} />`
}

const Kind = ({ decision }) => html`<${Badge} word=${decision.kind} kind=${TONES[decision.kind]} />${!decision.applied && html` <${Badge} word="not applied" kind="bad" />`}`

// What was decided above what it was decided by.
function Course({ pool, decisions }) {
  const { x, of } = useMemo(() => courseOf(decisions), [decisions])
  if (x.length < 2) return null
  return html`<div class="grid pool-course">
    <${Chart} title="Workers of ${pool}" times=${true} x=${x} format=${count} series=${[
      { name: 'by the load alone', values: of((each) => each.wanted), stepped: true },
      { name: 'there', values: of((each) => each.workers), stepped: true },
      { name: 'decided', values: of((each) => each.after), stepped: true }]} />
    <${Chart} title="Backlog of ${pool}" times=${true} x=${x} format=${count} series=${[
      { name: 'ready', values: of((each) => each.ready) },
      { name: 'with workers', values: of((each) => each.unacknowledged) },
      { name: 'to be published', values: of((each) => each.unpublished) }]} /></div>`
}

function courseOf(decisions) {
  const oldestFirst = [...decisions].reverse()
  return { x: oldestFirst.map((each) => new Date(each.at) / 1000), of: (value) => oldestFirst.map(value) }
}

function Decisions({ pool, decisions, pager }) {
  if (!decisions.length) return null
  return html`<details><summary>Decisions, with their reasons</summary>
    <${Table} label="Decisions about ${pool}" rows=${decisions} columns=${[
      ['At', (each) => html`<${Moment} at=${each.at} />`],
      ['Decision', (each) => html`<${Kind} decision=${each} />`],
      ['Workers', (each) => (each.before === each.after ? count(each.after) : `${count(each.before)} → ${count(each.after)}`), true],
      ['By the load', (each) => count(each.wanted), true],
      ['Reason', (each) => each.reason],
      ['Jobs/s', (each) => rate(each.jobs_per_second), true],
    ]} />
    <div class="filters"><${Pager} label="decisions" ...${pager} />
      <button onClick=${() => save(DECISIONS, `scaling-${pool}.csv`, { pool, format: 'csv', limit: 500 })}>CSV</button></div></details>`
}
