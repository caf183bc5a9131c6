// One run: its state, what may be done with it, and its tabs.

import { ask, openPage, post, save } from '../api.js'
import { html } from '../dom.js'
import { isOver, useRun } from '../live.js'
import { go, to } from '../router.js'
import { Action, Badge, ErrorNote } from '../ui.js'
import { tabs } from './run_tabs.js'

const RUNS = '/api/simulator/runs'

export function Run({ name, parts, query, may }) {
  const { run, progress, error } = useRun(name)
  if (error && !run) return html`<${ErrorNote} error=${error} />`
  if (!run) return html`<p class="soft" role="status">Loading …</p>`
  const tab = tabs.find((each) => each.path === parts[0]) || tabs[0]
  return html`<${Head} run=${run} may=${may} />
    ${run.reason && html`<div class="note ${isOver(run.state) ? 'bad' : 'open'}"><p>${run.reason}</p></div>`}
    <nav class="tabs" aria-label="Run ${run.run_key}">${tabs.map((each) => html`<a href=${to('runs', run.run_key, ...(each.path ? [each.path] : []))} aria-current=${each === tab ? 'page' : undefined}>${each.title}</a>`)}</nav>
    <${tab.component} run=${run} progress=${progress} parts=${parts.slice(1)} query=${query} may=${may} />`
}

function Head({ run, may }) {
  const act = (what) => () => post(`${RUNS}/${run.id}/${what}`)
  const goesOn = !isOver(run.state) && run.state !== 'CANCELLING'
  return html`<div class="head"><h1><span class="soft">Run</span> <code>${run.run_key}</code></h1>
    <${Badge} word=${run.state} />${run.verdict && html`<${Badge} word=${run.verdict} />`}<span class="soft">${run.template_name}</span>
    <div class="actions">
      ${may('operator') && goesOn && (run.state === 'PAUSED' ? html`<${Action} act=${act('resume')} done="The run goes on">Resume</${Action}>` : ['RUNNING', 'WAITING_ON_WORKERS'].includes(run.state) && html`<${Action} act=${act('pause')} done="The run pauses">Pause</${Action}>`)}
      ${may('operator') && goesOn && html`<${Action} act=${act('cancel')} kind="danger" done="The run is being cancelled" confirm="What is under way ends, what waits is cancelled, and what was stored is reconciled.">Cancel</${Action}>`}
      ${isOver(run.state) && html`<button onClick=${() => openPage(`${RUNS}/${run.id}/report`)}>Report</button>
        <button onClick=${() => save(`${RUNS}/${run.id}/metrics`, `${run.run_key}.csv`, { format: 'csv' })}>CSV</button>
        <button onClick=${() => save(`${RUNS}/${run.id}/metrics`, `${run.run_key}.json`)}>JSON</button>`}
      ${may('operator') && isOver(run.state) && html`<a class="button" href=${`${to('start')}?like=${run.run_key}`}>Start another</a>
        <${Action} kind="danger" act=${() => ask('DELETE', `${RUNS}/${run.id}`).then(() => go('runs'))} done="The run is deleted" confirm="The run, its orders, events and figures are removed for good.">Delete</${Action}>`}
    </div></div>`
}
