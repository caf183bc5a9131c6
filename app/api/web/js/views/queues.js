// Queues: what waits in them, who takes from them, and emptying them.

import { get, post } from '../api.js'
import { html, useState } from '../dom.js'
import { count } from '../format.js'
import { usePoll } from '../live.js'
import { Action, Figures, Loaded, Table } from '../ui.js'
import { Parked, parkedBy, sum } from './parked.js'
import { Purge } from './purge.js'
import { Depths } from './queue_depths.js'

const QUEUES = '/api/admin/queues'
const DEAD = 'yeeter.dead' // emptied by every worker: never purged

export function Queues({ may }) {
  const figures = usePoll(() => get('/api/monitoring/metrics/queue').then((found) => ({ ...found, at: Date.now() / 1000 })), 2, true, [])
  const uses = usePoll(() => get(QUEUES), 15, true, [])
  const health = usePoll(() => get('/api/monitoring/health/destinations'), 5, true, [])
  const again = () => { figures.again(); health.again() }
  const parked = health.value?.parked || []
  return html`<div class="head"><h1>Queues</h1></div>
    <div><${Loaded} ...${figures}>${({ queues, unpublished, due, at }) => html`
      <${Figures} pairs=${[
        ['Ready', count(total(queues, 'ready'))], ['With workers', count(total(queues, 'unacknowledged'))],
        ['To be published', count(unpublished)], ['Due now', count(due)], ['Parked', count(sum(parked))]]} />
      <${Notes} queues=${queues} />
      <${Depths} queues=${queues} at=${at} />
      <div class="card"><${Every} queues=${queues} uses=${uses.value?.items || []} parked=${parked} may=${may} again=${again} /></div>`}</${Loaded}></div>
    <div><${Loaded} ...${health}>${({ parked: jobs }) => html`<${Parked} parked=${jobs} />`}</${Loaded}></div>`
}

// null where none of them can be told.
function total(queues, name) {
  const told = queues.map((queue) => queue[name]).filter((value) => value !== null)
  return told.length ? told.reduce((one, other) => one + other, 0) : null
}

// Why figures are missing; most often it is the same for every queue.
function Notes({ queues }) {
  const notes = [...new Set(queues.map((queue) => queue.note))].filter(Boolean)
  return notes.map((note) => {
    const names = queues.filter((queue) => queue.note === note).map((queue) => queue.name)
    return html`<div class="note"><p>Not all can be told of ${names.length < queues.length ? names.join(', ') : 'these queues'}: ${note}</p></div>`
  })
}

function Every({ queues, uses, parked, may, again }) {
  const [purged, setPurged] = useState(null)
  const usedBy = (name) => uses.find((queue) => queue.name === name)?.used_by || []
  const actions = ['Actions', (queue) => html`<${Control} queue=${queue} parked=${parkedBy(parked, queue.name)} again=${again} purge=${() => setPurged(queue)} />`]
  return html`<${Table} label="Queues" rows=${queues} columns=${[
      ['Queue', (queue) => html`<code>${queue.name}</code>`],
      ['Ready', (queue) => count(queue.ready), true],
      ['With workers', (queue) => count(queue.unacknowledged), true],
      ['Consumers', (queue) => html`<span class=${queue.ready && queue.consumers === 0 ? 'badge bad' : ''}>${count(queue.consumers)}</span>`, true],
      ['Used by', (queue) => (queue.name === DEAD ? html`<div class="reason soft">what could not be delivered, on its way to the dead letters</div>` : html`<div class="reason">${usedBy(queue.name).join(', ')}</div>`)],
      ...(may('admin') ? [actions] : []),
    ]} />
    ${purged && html`<${Purge} queue=${purged} onClose=${() => setPurged(null)} done=${again} />`}`
}

// A queue that can't be looked into can't be emptied, either.
function Control({ queue, parked, again, purge }) {
  if (queue.name === DEAD || queue.ready === null) return null
  const release = () => post(`${QUEUES}/${encodeURIComponent(queue.name)}/release`).finally(again)
  return html`<div class="row-actions">
    ${parked > 0 && html`<${Action} act=${release} done=${({ runs }) => `${count(sum(runs))} jobs are published again`} confirm="${count(parked)} jobs that a purge has parked are published again.">Release</${Action}>`}
    <button class="danger" aria-label="Purge ${queue.name} …" onClick=${purge}>Purge …</button></div>`
}
