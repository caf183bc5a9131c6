// A template as a form. What the form has no field for stays in the document as it is.

import { ARRIVAL_PATHS, ArrivalFields } from '../arrival.js'
import { Check, CheckField, ChoiceField, LinesField, NumberField, TextField, Typed, useField, useWrong } from '../form.js'
import { html, useRef } from '../dom.js'
import { Steps } from './template_steps.js'

const MODALITIES = ['CT', 'MR', 'CR', 'DX']

const Part = ({ title, about, children }) => html`<section class="card" aria-label=${title}><h2>${title}</h2>${about && html`<p class="soft">${about}</p>`}${children}</section>`

export function TemplateForm({ types, delays }) {
  return html`<${Part} title="What"><div class="form">
      <${TextField} path="name" label="Name" hint="small letters, digits, . _ -" autocomplete="off" spellcheck="false" />
      <${NumberField} path="orders" label="Orders" placeholder="1000" hint="unless the run says otherwise" />
      <${NumberField} path="time_limit" label="Time limit" placeholder="none" hint="seconds until the run is cancelled and FAILED" /></div>
      <div class="below"><${TextField} path="description" label="Description" area class="prose" rows="3" /></div></${Part}>
    <${Modalities} />
    <${Part} title="Studies"><div class="form">
      <${ChoiceField} path="study.pixels" label="Pixels" options=${[['', 'full (the default)'], 'full', 'tiny']} />
      <${ChoiceField} path="study.preset" label="Size" options=${[['', 'realistic (the default)'], 'realistic', 'compact', 'single']} hint="how many series and instances" /></div></${Part}>
    <${Part} title="How fast"><${Arrival} /></${Part}>
    <${Part} title="Order receiver (HL7)"><${Destination} path="destinations.hl7" own="Send to a receiver of your own" initial=${{ host: 'localhost', port: 2575 }}><${Receiver} /></${Destination}></${Part}>
    <${Part} title="Archive (DICOM)"><${Destination} path="destinations.dicom" own="Store in an archive of your own" initial=${{ host: 'localhost', port: 4242, aet: 'ORTHANC' }}><${Archive} /></${Destination}></${Part}>
    <${Steps} types=${types} delays=${delays} />
    <${Part} title="What it must keep to"><${LinesField} path="thresholds" label="Thresholds, one a line" placeholder="hl7_ack.p95 < 200ms" rows="4" /></${Part}>
    <${Part} title="At the end"><${Webhook} /></${Part}>`
}

function Modalities() {
  const { value, wrong } = useField('modalities')
  const names = [...new Set([...MODALITIES, ...Object.keys(value ?? {})])]
  return html`<${Part} title="Modalities" about="Weights: 3 beside 1 is three of four. Empty: none of it.">
    <div class="form narrow">${names.map((name) => html`<${NumberField} key=${name} path="modalities.${name}" label=${name} />`)}</div>
    ${wrong && html`<p class="field"><span class="wrong" role="alert">${wrong}</span></p>`}</${Part}>`
}

function Arrival() {
  const { value, set } = useField('arrival')
  return html`<${ArrivalFields} arrival=${value ?? { model: 'closed' }} change=${set} wrong=${useWrong(...ARRIVAL_PATHS)} duration />`
}

function Destination({ path, own, initial, children }) {
  const { value, set, wrong } = useField(path)
  const last = useRef(initial) // what was there before it was switched off
  if (value) last.current = value
  return html`<${Check} label=${own} checked=${Boolean(value)} change=${(on) => set(on ? last.current : undefined)} />
    ${wrong && html`<p class="field"><span class="wrong" role="alert">${wrong}</span></p>`}
    ${value ? html`<div class="form below">${children}</div>` : html`<p class="soft">The run says where to; without that, it is the built-in one.</p>`}`
}

const Receiver = () => html`<${Address} path="destinations.hl7" />
  <${NumberField} path="destinations.hl7.connections" label="Connections" placeholder="8" hint="side by side" />
  <${NumberField} path="destinations.hl7.ack_timeout" label="Acknowledgement timeout" placeholder="10" hint="seconds" />
  <${NumberField} path="destinations.hl7.connect_timeout" label="Connect timeout" placeholder="5" hint="seconds" />
  <${NumberField} path="destinations.hl7.attempts" label="Attempts" placeholder="3" hint="transmissions of one message" />
  <${NumberField} path="destinations.hl7.patience" label="Patience" placeholder="600" hint="seconds, for one that went away in mid-run" />
  <${ChoiceField} path="destinations.hl7.on_unknown" label="If the outcome is unknown" options=${[['', 'resend (the default)'], 'resend', 'fail']} />
  <${CheckField} path="destinations.hl7.tls" label="TLS" />`

const Archive = () => html`<${Address} path="destinations.dicom" />
  <${TextField} path="destinations.dicom.aet" label="AE title" hint="called" spellcheck="false" />
  <${TextField} path="destinations.dicom.calling_aet" label="Our AE title" placeholder="YEETER" hint="calling" spellcheck="false" />
  <${NumberField} path="destinations.dicom.associations" label="Associations" placeholder="4" hint="side by side, of one worker process" />
  <${ChoiceField} path="destinations.dicom.association" label="An association" options=${[['', 'is used again (the default)'], ['reused', 'is used again'], ['per_study', 'for every study']]} />
  <${NumberField} path="destinations.dicom.rate" label="Rate" placeholder="no limit" hint="most studies a second, of all workers" />
  <${CheckField} path="destinations.dicom.tls" label="TLS" />`

const Address = ({ path }) => html`<${TextField} path="${path}.host" label="Host" spellcheck="false" /><${NumberField} path="${path}.port" label="Port" />`

function Webhook() {
  const { value, set } = useField('webhook')
  const at = useWrong('webhook', 'webhook.url')
  const wrong = [at('webhook'), at('webhook.url')].filter(Boolean).join('; ')
  const last = useRef({}) // its headers and timeout, while the address is being written anew
  if (value) last.current = value
  const headers = Object.keys(value?.headers ?? {})
  return html`<div class="form"><${Typed} label="Webhook address" type="url" placeholder="nobody is told" value=${value?.url} change=${(url) => set(url && { ...last.current, url })}
      hint="asked by POST when the run has ended${headers.length ? `, with ${headers.join(', ')}; edit headers as YAML` : ''}" wrong=${wrong} /></div>`
}
