// What reconciliation found wrong with a run.

import { get } from '../api.js'
import { html } from '../dom.js'
import { count } from '../format.js'
import { isOver, usePoll } from '../live.js'
import { to } from '../router.js'
import { Badge, Loaded, Table } from '../ui.js'

const MOST = 500

export function Findings({ run }) {
  const over = isOver(run.state)
  const found = usePoll(() => get(`/api/simulator/runs/${run.id}/findings`, { limit: MOST }), 2, !over, [run.id, run.state])
  const nothing = over
    ? 'Reconciliation found nothing missing, duplicated or mismatched. What it could check is on the overview.'
    : 'The archive is asked what it has when the last order has ended; what is wrong then is listed here.'
  return html`<${Loaded} ...${found}>${({ items }) => html`
    ${items.length === MOST && html`<div class="note open"><p>These are the first ${count(MOST)}. How many there are is on the overview.</p></div>`}
    <div class="card"><${Table} label="Findings" rows=${items} empty=${nothing} columns=${[
      ['Found', (finding) => html`<${Badge} word=${finding.kind} kind="bad" />`],
      ['Order', (finding) => (finding.order_number === null ? '–' : html`<a href=${to('runs', run.run_key, 'orders', finding.order_number)}>${finding.order_number}</a>`), true],
      ['Accession', (finding) => html`<code>${finding.accession}</code>`],
      ['Where', (finding) => (finding.source === 'dicom' ? 'archive' : 'order receiver')],
      ['Detail', (finding) => finding.detail],
    ]} /></div>`}</${Loaded}>`
}
