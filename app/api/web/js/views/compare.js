// Two runs beside each other: which, and then everything in which they differ.

import { get, openPage } from '../api.js'
import { html, useState } from '../dom.js'
import { count, moment, tone } from '../format.js'
import { usePoll } from '../live.js'
import { go, to } from '../router.js'
import { Badge, Empty, Loaded, Moment, Pairs, Select, Table, toast } from '../ui.js'
import { Figures, Tally } from './compare_figures.js'
import { Overlaid } from './compare_charts.js'

const RUNS = '/api/simulator/runs'
const LISTED = 200

const pathOf = (before, after) => `${RUNS}/${encodeURIComponent(before)}/comparison/${encodeURIComponent(after)}`

export function Compare({ parts }) {
  const [before = '', after = ''] = parts
  const both = Boolean(before && after)
  const open = () => openPage(pathOf(before, after), { format: 'html' }).catch((error) => toast(error.message, 'bad'))
  return html`<div class="head"><h1>Compare two runs</h1>${both && html`<div class="actions">
      <button onClick=${() => go('compare', after, before)}>Swap them</button><button onClick=${open}>As a page of its own</button></div>`}</div>
    <div><${Pickers} key=${`${before}/${after}`} before=${before} after=${after} /></div>
    <div>${both && html`<${Comparison} key=${`${before}/${after}`} before=${before} after=${after} />`}</div>`
}

function Pickers({ before, after }) {
  const [chosen, setChosen] = useState([before, after])
  const runs = usePoll(() => get(RUNS, { limit: LISTED }), 60, false, [])
  const pick = (place) => (name) => {
    const both = chosen.map((each, index) => (index === place ? name : each))
    setChosen(both)
    if (both[0] && both[1]) go('compare', ...both)
  }
  return html`<${Loaded} ...${runs}>${({ items }) => items.length < 2 && !before ? html`<div class="card"><${Empty}>
    <p><b>There are not two runs yet.</b></p><p><a href=${to('start')}>Start</a> what you want to compare; the same template with another pace, or another build of what is tested.</p></${Empty}></div>` : html`
    <div class="filters pickers">${['Before', 'After'].map((label, place) => html`<${Select} label=${label} value=${chosen[place]} onInput=${pick(place)} options=${optionsOf(items, chosen[place])} />`)}</div>`}</${Loaded}>`
}

function optionsOf(runs, chosen) {
  const isListed = !chosen || runs.some((run) => run.run_key === chosen)
  return [['', 'choose a run'], ...(isListed ? [] : [[chosen, chosen]]),
    ...runs.map((run) => [run.run_key, `${run.run_key}, ${run.template_name}, ${run.verdict || run.state.toLowerCase().replaceAll('_', ' ')}, ${moment(run.created_at)}`])]
}

function Comparison({ before, after }) {
  const found = usePoll(() => Promise.all([
    get(pathOf(before, after)), ...[before, after].map((name) => get(`${RUNS}/${encodeURIComponent(name)}/metrics/detail`)),
  ]), 60, false, [])
  return html`<${Loaded} ...${found}>${([comparison, ...details]) => html`
    <div class="grid compared"><${One} title="Before" run=${comparison.before} /><${One} title="After" run=${comparison.after} /></div>
    <${Tally} figures=${comparison.figures} />
    <${Settings} settings=${comparison.settings} />
    <${Overlaid} runs=${[comparison.before, comparison.after]} intervals=${details.map((each) => each.intervals)} />
    <${Figures} figures=${comparison.figures} names=${[comparison.before.run_key, comparison.after.run_key]} />`}</${Loaded}>`
}

function One({ title, run }) {
  return html`<section class="card" aria-label=${title}><div class="head"><h2><span class="soft">${title}</span> <a href=${to('runs', run.run_key)}><code>${run.run_key}</code></a></h2><${Badge} word=${run.headline} kind=${tone(run.headline) || tone(run.headline.toLowerCase())} /></div>
    <${Pairs} pairs=${[['Template', run.template], ['Orders', count(run.orders)], ['Seed', String(run.seed)], ['Made', html`<${Moment} at=${run.created_at} />`]]} /></section>`
}

function Settings({ settings }) {
  return html`<div class="card"><h2>Settings that differ</h2><${Table} label="Settings that differ" rows=${settings} empty="Both had the same settings." columns=${[
    ['Setting', (each) => html`<code>${each.setting}</code>`],
    ['Before', (each) => html`<${Setting} value=${each.before} />`],
    ['After', (each) => html`<${Setting} value=${each.after} />`],
  ]} /></div>`
}

const Setting = ({ value }) => (value === null || value === undefined ? html`<span class="soft">none</span>` : html`<code class="setting">${typeof value === 'string' ? value : JSON.stringify(value)}</code>`)
