// Workers: the pools with what the autoscaler makes of them, and every worker that tells of itself.

import { get } from '../api.js'
import { html } from '../dom.js'
import { ago, count, exact, rate } from '../format.js'
import { usePoll, useWorkers } from '../live.js'
import { to } from '../router.js'
import { Badge, Empty, Loaded, Moment, Table } from '../ui.js'
import { Pool } from './pool.js'

export function Workers({ may }) {
  const { document, error } = useWorkers()
  const health = usePoll(() => get('/api/monitoring/health/workers'), 10, true, [])
  return html`<div class="head"><h1>Workers</h1></div>
    <${Loaded} value=${health.value && document} error=${error || health.error}>${({ pools, workers }) => html`
      ${withinRuns(health.value, workers) ? html`<${WithinRuns} />` : html`
        ${pools.map((pool) => html`<${Pool} key=${pool.name} pool=${pool} may=${may} />`)}
        <${Alive} workers=${workers} />`}`}</${Loaded}>`
}

// Nobody is there, and that is well: each run brings workers of its own.
const withinRuns = (health, workers) => health.ready && !health.alive && !workers.length

const WithinRuns = () => html`<div class="card"><${Empty}>
  <p><b>Here, each run works on its own jobs.</b></p>
  <p>This server has no broker: every run brings its own workers, as threads of its process, and there is no pool to scale.
    What they did is told with <a href=${to('runs')}>each run</a>.</p>
  <p>For a pool, set <code>RABBITMQ_URL</code>, and start <code>yeeter worker</code> as often as you like, or <code>yeeter autoscaler</code> to have it done by the load.</p></${Empty}></div>`

function Alive({ workers }) {
  const empty = html`<p>No worker tells of itself.</p><p>Start one with <code>yeeter worker</code>, or give a pool a number. Until then jobs wait; none is lost.</p>`
  return html`<div class="card"><h2>Workers that are alive</h2><${Table} label="Workers that are alive" rows=${workers} empty=${empty} columns=${[
    ['Worker', (worker) => html`<code>${worker.name}</code>`],
    ['State', (worker) => html`<${State} worker=${worker} />`],
    ['Running', (worker) => `${worker.running} of ${worker.concurrency}`, true],
    ['Jobs/s', (worker) => rate(worker.jobs_per_second), true],
    ['Jobs done', (worker) => count(worker.jobs_done), true],
    ['CPU', (worker) => `${Math.round(100 * worker.cpu)} %`, true],
    ['Queues', (worker) => worker.queues.map((queue) => html`<div><code>${queue}</code></div>`)],
    ['Seen', (worker) => html`<time datetime=${exact(worker.seen_at)} title=${exact(worker.seen_at)}>${ago(worker.seen_at)}</time>`],
    ['Started', (worker) => html`<${Moment} at=${worker.started_at} />`],
  ]} /></div>`
}

function State({ worker }) {
  if (worker.draining) return html`<span title="It finishes what it has, and takes no more"><${Badge} word="draining" kind="open" /></span>`
  return worker.running ? html`<${Badge} word="busy" kind="live" />` : html`<${Badge} word="idle" />`
}
