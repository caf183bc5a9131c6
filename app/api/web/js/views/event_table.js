// Events with all they say.

import { html } from '../dom.js'
import { seconds } from '../format.js'
import { to } from '../router.js'
import { Moment, Table } from '../ui.js'

const TONE = { succeeded: 'good', completed: 'good', failed: 'bad', dead_lettered: 'bad', retried: 'open', parked: 'open', cancelled: 'open' }

// With `run`, each row says which order it is about.
export function EventTable({ label, events, run, empty }) {
  return html`<${Table} label=${label} rows=${events} empty=${empty} columns=${[
    ['At', (event) => html`<span class="at"><${Moment} at=${event.at} /></span>`],
    ['Event', (event) => html`<b class="kind ${TONE[event.kind.split('.')[1]] || ''}">${event.kind}</b>`],
    ...(run ? [['Order', (event) => (event.order_number === null ? '' : html`<a href=${to('runs', run.run_key, 'orders', event.order_number)}>${event.order_number}</a>`), true]] : []),
    ['Step', (event) => event.step_index ?? '', true],
    ['What it says', (event) => html`<${Data} data=${event.epoch ? { ...event.data, epoch: event.epoch } : event.data} />`],
  ]} />`
}

const Data = ({ data }) => html`<span class="data">${Object.entries(data).map(([name, value]) => html`<span><span class="soft">${name}</span> ${shown(name, value)}</span> `)}</span>`

function shown(name, value) {
  if (typeof value === 'number' && name.endsWith('seconds')) return seconds(value)
  if (Array.isArray(value) && value.length > 3) return html`<details><summary>${value.length} values</summary>${value.join(', ')}</details>`
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
