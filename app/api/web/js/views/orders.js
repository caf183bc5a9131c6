// The orders of a run, all of them or those that are looked for; and one.

import { get } from '../api.js'
import { html, useCallback, useEffect, useMemo, useRef, useState } from '../dom.js'
import { count, seconds } from '../format.js'
import { person } from '../hl7.js'
import { isOver } from '../live.js'
import { OrderPages } from '../order_pages.js'
import { setQuery, to } from '../router.js'
import { Badge, Empty, ErrorNote, Input, Moment, Select } from '../ui.js'
import { VirtualGrid } from '../virtual.js'
import { Order } from './order.js'

const STATES = ['SENDING', 'WAITING', 'COMPLETED', 'FAILED', 'CANCELLED']
const AGAIN = 2000 // ms, while the run goes on

export function Orders({ run, parts, query }) {
  return parts.length ? html`<${Order} key=${parts[0]} run=${run} number=${parts[0]} />` : html`<${List} run=${run} query=${query} />`
}

function List({ run, query }) {
  const [state, setState] = useState(query.get('state') || '')
  const [search, setSearch] = useState(query.get('search') || '')
  const sought = useSettled(search.trim(), 300)
  const begin = useRef(Number(query.get('from')) || 0).current
  const [first, setFirst] = useState(begin)
  const settled = useSettled(first, 300)
  useEffect(() => { setQuery({ state, search: sought, from: state || sought ? '' : settled || '' }) }, [state, sought, settled])
  return html`<div class="filters">
      <${Select} label="State" value=${state} onInput=${setState} options=${[['', 'any'], ...STATES.map((each) => [each, each.toLowerCase()])]} />
      <${Input} label="Search" type="search" placeholder="accession, patient ID, part of the name" size="34" maxlength="64" value=${search} onInput=${setSearch} /></div>
    <${Found} key=${`${state} ${sought}`} run=${run} state=${state} search=${sought} begin=${state || sought ? 0 : begin} onFirst=${setFirst} />`
}

function Found({ run, state, search, begin, onFirst }) {
  const isSome = Boolean(state || search)
  const [, setRound] = useState(0)
  const pages = useMemo(() => new OrderPages({
    load: (first, limit) => get(`/api/simulator/runs/${run.id}/orders`, { state, search, first, limit }),
    requested: isSome ? null : run.requested,
    changed: () => setRound((round) => round + 1),
  }), [])
  const sight = useRef([0, 0])
  const onSight = useCallback((first, last) => {
    sight.current = [first, last]
    onFirst(first)
    pages.want(first, last)
  }, [])
  useEffect(() => { pages.want(...sight.current) }, [pages.found])
  useEffect(() => {
    if (isOver(run.state)) { pages.want(...sight.current, 0); return undefined }
    const timer = setInterval(() => pages.want(...sight.current, AGAIN), AGAIN)
    return () => clearInterval(timer)
  }, [isOver(run.state)])

  const again = () => pages.want(...sight.current, 0)
  const failed = pages.error && html`<${ErrorNote} error=${pages.error} /><p><button onClick=${again}>Try again</button></p>`
  if (pages.found === null) return failed || html`<p class="soft" role="status">Loading …</p>`
  if (!pages.found) return html`<div class="card"><${Empty}><p>No order of this run is like this${isOver(run.state) ? '' : ' yet'}.</p></${Empty}></div>`
  return html`${failed}<p class="soft" role="status">${count(pages.found)} ${pages.found === 1 ? 'order' : 'orders'}${pages.isWhole ? '' : ', and more'}</p>
    <${VirtualGrid} label="Orders" columns=${columnsOf(run)} count=${pages.places} isWhole=${pages.isWhole} begin=${begin} onSight=${onSight}
      rowAt=${(place) => pages.at(place)} link=${(place, order) => to('runs', run.run_key, 'orders', order ? order.number : place)} />`
}

const columnsOf = (run) => [
  { title: 'Order', width: '84px', isNumber: true, cell: (place, order) => (order ? order.number : place) },
  { title: 'State', width: '128px', cell: (_, order) => stateOf(run, order) },
  { title: 'Patient', width: 'minmax(110px, 1.4fr)', cell: (_, order) => order && html`<span title=${order.patient_name}>${person(order.patient_name)}</span>` },
  { title: 'Patient ID', width: 'minmax(152px, 1fr)', isMinor: true, cell: (_, order) => order && html`<code>${order.patient_id}</code>` },
  { title: 'Accession', width: 'minmax(130px, 1fr)', isMinor: true, cell: (_, order) => order && html`<code>${order.accession}</code>` },
  { title: 'Kind', width: '60px', isMinor: true, cell: (_, order) => order?.modality },
  { title: 'Stored', width: '104px', isNumber: true, isMinor: true, cell: (_, order) => order && `${count(order.instances_stored)} of ${count(order.instances)}` },
  { title: 'Sent', width: '220px', isMinor: true, cell: (_, order) => order && html`<${Moment} at=${order.begun_at} />` },
  { title: 'Took', width: '84px', isNumber: true, isMinor: true, cell: (_, order) => order && tookOf(order) },
]

function stateOf(run, order) {
  if (order) return html`<${Badge} word=${order.state} />`
  if (order === undefined) return html`<span class="soft">…</span>`
  return html`<span class="soft">${isOver(run.state) ? 'never sent' : 'not sent yet'}</span>`
}

const tookOf = (order) => (order.finished_at ? seconds((new Date(order.finished_at) - new Date(order.begun_at)) / 1000) : '–')

// A value once it has stayed the same for so many ms.
function useSettled(value, wait) {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), wait)
    return () => clearTimeout(timer)
  }, [value])
  return settled
}
