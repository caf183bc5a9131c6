// Templates: all of them, one, and one being edited.

import { ask, get, post } from '../api.js'
import { html, useState } from '../dom.js'
import { usePoll } from '../live.js'
import { go, to } from '../router.js'
import { Action, Badge, Loaded, Moment, Table } from '../ui.js'
import { CopyDialog, EditTemplate } from './template_editor.js'
import { ShowTemplate } from './template_view.js'

const TEMPLATES = '/api/simulator/templates'

export function Templates({ parts: [name, what], query, may }) {
  if (query.get('new') && may('operator')) return html`<${EditTemplate} key="new" />`
  if (!name) return html`<${List} may=${may} />`
  return what === 'edit' && may('operator') ? html`<${EditTemplate} key=${name} name=${name} />` : html`<${One} key=${name} name=${name} may=${may} />`
}

function List({ may }) {
  const found = usePoll(() => get(TEMPLATES), 10, true, [])
  return html`<div class="head"><h1>Templates</h1><div class="actions">${may('operator') && html`<a class="button" href="${to('templates')}?new=1">New template</a>`}</div></div>
    <div class="card"><${Loaded} ...${found}>${({ items }) => html`<${Table} label="Templates" rows=${items} link=${(row) => to('templates', row.name)} empty=${html`<p>No template is here. The shipped ones come back when the server is started again.</p>`} columns=${[
      ['Name', (row) => html`<span class="line">${row.name}</span>`],
      ['Version', (row) => row.version, true],
      ['Origin', (row) => html`<${Origin} shipped=${row.shipped} />`],
      ['Steps', (row) => html`<div class="sentence small">${row.document.steps.map((step) => step.name || step.type).join(' → ')}</div>`],
      ['Queues', (row) => queuesOf(row.document).join(', ') || 'none'],
      ['Written', (row) => html`<span class="line"><${Moment} at=${row.updated_at} /></span>`],
      ...(may('operator') ? [['Start', (row) => html`<a href="${to('start')}?template=${row.name}" aria-label="Run ${row.name}">Run</a>`]] : []),
    ]} />`}</${Loaded}></div>`
}

const Origin = ({ shipped }) => html`<span title=${shipped ? 'As it came with this version of Yeeter' : 'Made or edited here'}><${Badge} word=${shipped ? 'shipped' : 'edited'} kind=${shipped ? '' : 'live'} /></span>`

// By what the steps say; how it comes out on this server is told of one template.
const queuesOf = ({ steps: [, ...steps] }) => [...new Set(steps.filter((step) => step.mode !== 'inline').map((step) => step.queue ?? 'default'))]

function One({ name, may }) {
  const [copying, setCopying] = useState(false)
  const path = `${TEMPLATES}/${encodeURIComponent(name)}`
  const found = usePoll(() => get(path), 10, true, [name])
  const copy = (document, next) => post(TEMPLATES, { ...document, name: next }).then((made) => go('templates', made.name))
  const remove = () => ask('DELETE', path).then(() => go('templates'))
  return html`<${Loaded} ...${found}>${(template) => html`<div class="head"><h1><span class="soft">Template</span> ${template.name}</h1><${Origin} shipped=${template.shipped} /><span class="soft">version ${template.version}, <${Moment} at=${template.updated_at} /></span>
      ${may('operator') && html`<div class="actions"><a class="button primary" href="${to('start')}?template=${template.name}">Run this template</a>
        <a class="button" href=${to('templates', template.name, 'edit')}>Edit</a><button onClick=${() => setCopying(true)}>Copy</button>
        <${Action} kind="danger" act=${remove} done="The template is deleted" confirm="The template is removed; its runs stay. A shipped one comes back when the server is started again.">Delete</${Action}></div>`}</div>
    <${ShowTemplate} template=${template} />
    ${copying && html`<${CopyDialog} name=${template.name} copy=${(next) => copy(template.document, next)} onClose=${() => setCopying(false)} />`}`}</${Loaded}>`
}
