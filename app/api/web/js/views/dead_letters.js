// Dead letters: jobs that were given up, counted and listed, and what is done about many of them at once.

import { get, post } from '../api.js'
import { html, useEffect, useState } from '../dom.js'
import { count, words } from '../format.js'
import { usePoll } from '../live.js'
import { Pager, usePages } from '../pages.js'
import { setQuery, to } from '../router.js'
import { Figures, Input, Loaded, Moment, Select, Table } from '../ui.js'
import { Bulk } from './dead_letter_bulk.js'
import { DeadLetter } from './dead_letter.js'
import { KINDS, LETTERS, LetterState } from './dead_letter_words.js'

const FILTERS = ['kind', 'run', 'queue', 'step_type', 'search']
const STATES = [['OPEN', 'open'], ['RETRIED', 'retried'], ['DISCARDED', 'discarded'], ['any', 'any']]

export function DeadLetters({ parts, query, may }) {
  return parts.length ? html`<${DeadLetter} key=${parts[0]} id=${parts[0]} may=${may} />` : html`<${List} query=${query} may=${may} />`
}

function List({ query, may }) {
  const [state, setState] = useState(query.get('state') || 'OPEN')
  const [filters, setFilters] = useState(() => Object.fromEntries(FILTERS.map((name) => [name, query.get(name) || ''])))
  const [refused, setRefused] = useState([])
  const statistics = usePoll(() => get(`${LETTERS}/statistics`), 3, true, [])
  const letters = usePages(LETTERS, { ...filters, state: state === 'any' ? '' : state })
  useEffect(() => setQuery({ state: state === 'OPEN' ? '' : state, ...filters }), [state, filters])
  const settled = (outcome) => { setRefused(outcome.refused); statistics.again(); letters.again() }
  const bulk = { filters, done: settled, disabled: state !== 'OPEN' && state !== 'any' || !statistics.value?.open }
  return html`<div class="head"><h1>Dead letters</h1><div class="actions">
      ${may('operator') && html`<${Bulk} ...${bulk} title="Retry" act=${(body) => post(`${LETTERS}/retry`, body)} told=${toldOfRetry}
        says="Their jobs go on where they failed, and runs that have ended with errors are reopened." />`}
      ${may('admin') && html`<${Bulk} ...${bulk} title="Discard" kind="danger" act=${(body) => post(`${LETTERS}/discard`, body)} told=${({ letters: many }) => `${count(many)} dead letters are discarded`}
        says="They are settled without doing anything; their orders stay failed." />`}</div></div>
    <div><${Loaded} ...${statistics}>${(found) => html`<${Statistics} found=${found} choose=${(group) => { setState('OPEN'); setFilters({ ...filters, ...group }) }} />`}</${Loaded}></div>
    <${Refused} letters=${refused} />
    <${Filters} state=${state} setState=${setState} filters=${filters} setFilters=${setFilters} groups=${statistics.value?.groups || []} />
    <div class="card"><${Loaded} ...${letters}>${({ items }) => html`<${Letters} letters=${items} isFiltered=${state !== 'any' || Object.values(filters).some(Boolean)} />
      <${Pager} label="dead letters" ...${letters.pager} />`}</${Loaded}></div>`
}

const toldOfRetry = ({ jobs, runs }) => `${count(jobs)} jobs go on, of ${count(runs.length)} runs`

function Statistics({ found, choose }) {
  const open = found.groups.filter((group) => group.state === 'OPEN')
  return html`<${Figures} pairs=${[['Open', count(found.open)], ['Retried', count(found.retried)], ['Discarded', count(found.discarded)]]} />
    ${open.length > 0 && html`<div class="card"><h2>Open, by kind and step</h2><${Table} label="Open, by kind and step" rows=${open} columns=${[
      ['Kind', (group) => html`<button class="plain" onClick=${() => choose({ kind: group.kind, step_type: group.step_type, queue: group.queue })}>${words(group.kind)}</button> <span class="soft">${KINDS[group.kind]}</span>`],
      ['Step', (group) => html`<code>${group.step_type || 'unknown'}</code>`],
      ['Queue', (group) => html`<code>${group.queue}</code>`],
      ['Letters', (group) => count(group.count), true],
      ['Oldest', (group) => html`<${Moment} at=${group.oldest} />`],
      ['Newest', (group) => html`<${Moment} at=${group.newest} />`],
    ]} /></div>`}`
}

const namesOf = (groups, name, chosen) => [...new Set([...groups.map((group) => group[name]), chosen])].filter(Boolean).sort().map((each) => [each, each])

function Filters({ state, setState, filters, setFilters, groups }) {
  const set = (name) => (value) => setFilters({ ...filters, [name]: value })
  const select = (label, name, options) => html`<${Select} label=${label} value=${filters[name]} onInput=${set(name)} options=${[['', 'any'], ...options]} />`
  return html`<div class="filters" role="search" aria-label="Dead letters">
    <${Select} label="State" value=${state} onInput=${setState} options=${STATES} />
    ${select('Kind', 'kind', Object.keys(KINDS).map((kind) => [kind, words(kind)]))}
    ${select('Step', 'step_type', namesOf(groups, 'step_type', filters.step_type))}
    ${select('Queue', 'queue', namesOf(groups, 'queue', filters.queue))}
    <${Input} label="Run" value=${filters.run} onInput=${set('run')} placeholder="run key or id" spellcheck="false" size="10" />
    <${Input} label="Reason has" value=${filters.search} onInput=${set('search')} size="14" />
    <button onClick=${() => { setState('OPEN'); setFilters(Object.fromEntries(FILTERS.map((name) => [name, '']))) }}>Clear the filters</button></div>`
}

function Letters({ letters, isFiltered }) {
  const empty = html`<p><b>${isFiltered ? 'No dead letter is like this.' : 'No job was ever given up.'}</b></p>
    <p>A job that fails for good, or whose attempts are used up, becomes one; nothing that failed is lost.</p>`
  return html`<${Table} label="Dead letters" rows=${letters} link=${(letter) => to('dead-letters', letter.id)} empty=${empty} columns=${[
    ['Letter', (letter) => letter.id],
    ['State', (letter) => html`<${LetterState} state=${letter.state} />`],
    ['Reason', (letter) => html`<div class="reason">${letter.reason}</div>`],
    ['Kind', (letter) => html`<span title=${KINDS[letter.kind]}>${words(letter.kind)}</span>`],
    ['Run', (letter) => (letter.run_key ? html`<a href=${to('runs', letter.run_key)}><code>${letter.run_key}</code></a>` : '–')],
    ['Order', (letter) => count(letter.order_number), true],
    ['Step', (letter) => html`<code>${letter.step_type || '–'}</code>`],
    ['At', (letter) => html`<${Moment} at=${letter.at} />`],
  ]} />`
}

function Refused({ letters }) {
  if (!letters.length) return null
  return html`<div class="note open" role="status"><p><b>${count(letters.length)} were left as they are:</b></p>
    ${letters.slice(0, 10).map((letter) => html`<p>Letter <a href=${to('dead-letters', letter.id)}>${letter.id}</a>: ${letter.reason}</p>`)}
    ${letters.length > 10 && html`<p>and ${count(letters.length - 10)} more</p>`}</div>`
}
