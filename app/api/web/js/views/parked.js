// Jobs that wait without a message, and what for.

import { html } from '../dom.js'
import { count } from '../format.js'
import { to } from '../router.js'
import { Table } from '../ui.js'

const PURGED = 'purged:' // and the name of a queue

export const parkedBy = (parked, queue) => sum(parked.filter((each) => each.waiting_for === PURGED + queue))
export const sum = (parked) => parked.reduce((total, each) => total + each.jobs, 0)

export function Parked({ parked }) {
  return html`<div class="card"><h2>Parked jobs</h2><${Table} label="Parked jobs" rows=${parked} link=${(each) => to('runs', each.run_key)}
    empty=${html`<p>No job is parked.</p><p>Jobs are parked while their destination is away, their run is paused, or a queue was purged for later.</p>`} columns=${[
      ['Run', (each) => html`<code>${each.run_key}</code>`],
      ['Wait for', (each) => html`<${WaitFor} what=${each.waiting_for} />`],
      ['Jobs', (each) => count(each.jobs), true],
    ]} /></div>`
}

function WaitFor({ what }) {
  if (what === 'pause') return 'their run to be resumed'
  if (what === 'reopened') return 'the producer of their run, which was reopened'
  if (what.startsWith(PURGED)) return html`somebody to release them: <a href=${to('queues')}>queue <code>${what.slice(PURGED.length)}</code></a> was purged`
  return html`destination <code>${what}</code> to answer`
}
