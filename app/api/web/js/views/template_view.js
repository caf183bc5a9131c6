// A template as one reads it.

import { get } from '../api.js'
import { Day, sentenceOf } from '../arrival.js'
import { html } from '../dom.js'
import { count, span } from '../format.js'
import { usePoll } from '../live.js'
import { Loaded, Pairs, Table } from '../ui.js'
import { yamlOf } from '../yaml.js'

const Card = ({ title, children }) => html`<section class="card"><h2>${title}</h2>${children}</section>`

export function ShowTemplate({ template: { id, version, document } }) {
  const steps = usePoll(() => get(`/api/simulator/templates/${id}/steps`), 60, false, [id, version])
  return html`${document.description && html`<p class="told">${document.description}</p>`}
    <div class="grid" style="margin-bottom: 16px">
      <${Card} title="Orders"><${Pairs} pairs=${ordersOf(document)} />${document.arrival.hourly && html`<${Day} hourly=${document.arrival.hourly} />`}</${Card}>
      <${Card} title="Modalities"><${Modalities} weights=${document.modalities} /></${Card}>
      <${Card} title="Studies"><${Pairs} pairs=${studyOf(document.study)} /></${Card}>
      <${Card} title="Patients"><${Pairs} pairs=${patientsOf(document.population)} /></${Card}>
      <${Card} title="Destinations"><${Pairs} pairs=${destinationsOf(document)} /></${Card}>
      <${Card} title="Messages"><${Pairs} pairs=${messagesOf(document.hl7)} /></${Card}></div>
    <${Card} title="Steps"><${Loaded} ...${steps}>${({ items }) => html`<${Steps} items=${items} />`}</${Loaded}></${Card}>
    <${Card} title="What it must keep to">${document.thresholds.length ? html`<ul class="plain-list">${document.thresholds.map((each) => html`<li><code>${each}</code></li>`)}</ul>` : html`<p class="soft">No thresholds beside those that every run keeps to: nothing failed, missing, duplicated or mismatched.</p>`}</${Card}>
    <div class="card"><details><summary>As YAML</summary><pre tabindex="0" role="region" aria-label="The template as YAML">${yamlOf(document)}</pre></details></div>`
}

const ordersOf = ({ orders, arrival, time_limit: limit, webhook }) => [
  ['How many', count(orders)],
  ['Arrival', sentenceOf(arrival)],
  ['Time limit', limit ? span(limit) : 'none'],
  ['At the end', webhook ? html`<code>${webhook.url}</code> is told` : 'nobody is told'],
]

function Modalities({ weights }) {
  const sum = Object.values(weights).reduce((all, each) => all + each, 0)
  return html`<dl class="stages">${Object.entries(weights).map(([name, weight]) => html`<dt>${name}</dt>
    <dd><div class="progress series-1"><span style="width: ${(100 * weight) / sum}%"></span></div></dd>
    <dd class="number">${share(weight / sum)}</dd>`)}</dl>`
}

const share = (part) => `${Number((100 * part).toFixed(1))} %`
const range = ([low, high]) => (low === high ? String(low) : `${low} to ${high}`)

const studyOf = ({ pixels, preset, shapes, body_parts: parts }) => [
  ['Pixels', pixels],
  ['Size', preset],
  ...Object.entries(shapes).map(([name, { series, instances }]) => [name, `${range(series)} series of ${range(instances)} instances`]),
  ['Body parts', parts.length ? parts.join(', ').toLowerCase() : 'all'],
]

const patientsOf = (population) => [
  ['Names', population.locales.join(', ')],
  ['Seen before', share(population.repeat_patients)],
  ['Twins', share(population.twins)],
  ['No birth date', share(population.missing_birth_date)],
  ['Unknown sex', share(population.unknown_sex)],
  ['Suffixes', share(population.suffixes)],
  ['Long names', share(population.long_names)],
]

const destinationsOf = ({ destinations: { hl7, dicom } }) => [
  ['Order receiver', hl7 ? html`<code>${hl7.host}:${hl7.port}</code>${hl7.tls ? ', TLS' : ''}` : 'as the run says, or built in'],
  ...(hl7 ? [['Connections', count(hl7.connections)], ['Waits', `${span(hl7.connect_timeout)} to connect, ${span(hl7.ack_timeout)} for an acknowledgement, ${span(hl7.patience)} for a receiver that is away`], ['Attempts', `${hl7.attempts}; unknown outcome: ${hl7.on_unknown}`]] : []),
  ['Archive', dicom ? html`<code>${dicom.aet}@${dicom.host}:${dicom.port}</code>${dicom.tls ? ', TLS' : ''}` : 'as the run says, or built in'],
  ...(dicom ? [['As', html`<code>${dicom.calling_aet}</code>`], ['Associations', `${dicom.associations} a worker, ${dicom.association === 'reused' ? 'used again' : 'one for every study'}${dicom.rate ? `; at most ${dicom.rate} studies a second` : ''}`]] : []),
]

const messagesOf = (hl7) => [
  ['From', `${hl7.sending_application}, ${hl7.sending_facility}`],
  ['To', `${hl7.receiving_application}, ${hl7.receiving_facility}`],
  ['Processing', hl7.processing_id],
  ['Text', hl7.message ? html`<details><summary>a text of its own</summary><pre>${hl7.message.replaceAll('\r', '\n')}</pre></details>` : 'built in'],
]

// Columns that no step has anything for are left out.
const Steps = ({ items }) => html`<${Table} label="Steps" rows=${items} columns=${[
  ['Step', (step) => html`<span class="line">${step.position + 1} <code>${step.type}</code></span>${step.name && html`<br />${step.name}`}`],
  ['Runs on', (step) => (step.runs_on === 'producer' || step.runs_on === 'inline' ? 'the producer' : html`<code>${step.runs_on}</code>`)],
  ['Mode', (step) => step.mode ?? (step.runs_on === 'producer' || step.runs_on === 'inline' ? 'inline' : 'queued')],
  ...given(items, 'queue_metadata', 'Queue metadata'),
  ...(items.some((step) => step.job_type) ? [['Job type', (step) => step.job_type ?? '']] : []),
  ...given(items, 'parameters', 'Parameters'),
  ['Retry', (step) => html`<div class="sentence">${retried(step.retry)}</div>`],
  ['Timeout', (step) => span(step.timeout), true],
]} />`

const given = (items, part, title) => (items.some((step) => Object.keys(step[part]).length) ? [[title, (step) => mapping(step[part])]] : [])

const mapping = (pairs) => Object.entries(pairs).map(([name, value]) => html`<div><code>${name}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)}</code></div>`)

const retried = ({ max_attempts: attempts, first_delay: first, factor, cap, patience }) => `${attempts === 1 ? 'one attempt' : `${attempts} attempts, after ${span(first)}, then × ${factor}, at most ${span(cap)}`}; waits ${span(patience)} for a destination`
