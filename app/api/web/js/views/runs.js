// Runs: all of them, and one.

import { get, save } from '../api.js'
import { html, useEffect, useState } from '../dom.js'
import { count, rate, seconds } from '../format.js'
import { usePoll } from '../live.js'
import { go, setQuery, to } from '../router.js'
import { Badge, Loaded, Moment, Select, Table } from '../ui.js'
import { Run } from './run.js'

const STATES = ['', 'PENDING', 'RUNNING', 'WAITING_ON_WORKERS', 'PAUSED', 'RECONCILING', 'COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED']
const PAGE = 50

export function Runs({ parts, query, may }) {
  return parts.length ? html`<${Run} key=${parts[0]} name=${parts[0]} parts=${parts.slice(1)} query=${query} may=${may} />` : html`<${List} query=${query} may=${may} />`
}

function List({ query, may }) {
  const [state, setState] = useState(query.get('state') || '')
  const [template, setTemplate] = useState(query.get('template') || '')
  const [more, setMore] = useState([])
  const [chosen, setChosen] = useState([])
  const filters = { state, template }
  useEffect(() => { setState(query.get('state') || ''); setTemplate(query.get('template') || '') }, [query]) // another address
  const { value, error } = usePoll(() => get('/api/metrics/runs', { ...filters, limit: PAGE }), 3, true, [state, template])
  const templates = usePoll(() => get('/api/simulator/templates'), 60, false, []).value
  useEffect(() => { setQuery(filters); setMore([]); setCursor(undefined) }, [state, template])
  const [cursor, setCursor] = useState(undefined)
  const next = cursor === undefined ? value?.next_cursor : cursor
  const loadMore = async () => {
    const page = await get('/api/metrics/runs', { ...filters, after: next, limit: PAGE })
    setMore([...more, ...page.items])
    setCursor(page.next_cursor)
  }
  const choose = (key) => setChosen(chosen.includes(key) ? chosen.filter((each) => each !== key) : [...chosen, key].slice(-2))
  return html`<div class="head"><h1>Runs</h1><div class="actions">
      <button disabled=${chosen.length !== 2} onClick=${() => go('compare', ...chosen)}>Compare two</button>
      <button onClick=${() => save('/api/metrics/runs', 'runs.csv', { ...filters, format: 'csv', limit: 500 })}>CSV</button>
      ${may('operator') && html`<a class="button" href=${to('start')}>Start a run</a>`}</div></div>
    <div class="filters">
      <${Select} label="State" value=${state} onInput=${setState} options=${STATES.map((each) => [each, each ? each.toLowerCase().replaceAll('_', ' ') : 'any'])} />
      <${Select} label="Template" value=${template} onInput=${setTemplate} options=${[['', 'any'], ...(templates?.items || []).map((each) => [each.name, each.name])]} /></div>
    <div class="card"><${Loaded} value=${value} error=${error}>${({ items }) => html`
      <${Table} label="Runs" rows=${[...items, ...more]} link=${(run) => to('runs', run.run_key)} empty=${html`<p>No run is here${state || template ? ' that is like this' : ' yet'}.</p>`} columns=${[
        ['Run', (run) => html`<code>${run.run_key}</code>`],
        ['Template', (run) => run.template],
        ['State', (run) => html`<${Badge} word=${run.state} />`],
        ['Verdict', (run) => (run.verdict ? html`<${Badge} word=${run.verdict} />` : '')],
        ['Orders', (run) => count(run.figures['orders.completed'] ?? null), true],
        ['Orders/s', (run) => rate(run.figures['rates.orders_per_second']), true],
        ['Ack p95', (run) => seconds(run.figures['latency_seconds.hl7_ack.p95']), true],
        ['Took', (run) => seconds(run.wall_seconds), true],
        ['Made', (run) => html`<${Moment} at=${run.created_at} />`],
        ['Compare', (run) => html`<input type="checkbox" aria-label="Compare ${run.run_key}" checked=${chosen.includes(run.run_key)} onChange=${() => choose(run.run_key)} />`],
      ]} />
      ${next && html`<p><button onClick=${loadMore}>Show more</button></p>`}`}</${Loaded}></div>`
}
