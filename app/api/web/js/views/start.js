// Starting a run: what, how much, how fast, whereto, and what it must keep to.

import { get, post } from '../api.js'
import { html, useEffect, useState } from '../dom.js'
import { go } from '../router.js'
import { ErrorNote, Input, Loaded, Select, Table, toast } from '../ui.js'
import { usePoll } from '../live.js'

const MODELS = {
  closed: [],
  constant: ['rate'],
  ramp: ['rate', 'to', 'over'],
  burst: ['size', 'every'],
  poisson: ['rate'],
}
const HINTS = { rate: 'orders a second', to: 'orders a second at its end', over: 'e.g. 5m', size: 'orders at once', every: 'e.g. 30s' }
const TEXTS = ['over', 'every']

export function Start({ query }) {
  const templates = usePoll(() => get('/api/simulator/templates'), 60, false, [])
  const like = usePoll(() => (query.get('like') ? get(`/api/simulator/runs/${query.get('like')}`) : Promise.resolve(null)), 60, false, [query.get('like')])
  return html`<div class="head"><h1>Start a run</h1></div>
    <${Loaded} ...${templates}>${({ items }) => html`<${Loaded} ...${like}>${(run) => html`<${Form} templates=${items} like=${run} />`}</${Loaded}>`}</${Loaded}>`
}

const addressOf = (destination) => (destination ? (destination.aet ? `${destination.aet}@` : '') + `${destination.host}:${destination.port}` : '')

function valuesOf(like, templates) {
  const document = like?.document ?? templates[0]?.document ?? {}
  const arrival = document.arrival || {}
  return {
    template: like?.template_name ?? templates[0]?.name ?? '', orders: String(like?.requested ?? ''), seed: '', duration: '',
    model: MODELS[arrival.model] ? arrival.model : 'closed', rate: arrival.rate ?? '', to: arrival.to ?? '', over: arrival.over ?? '', size: arrival.size ?? '', every: arrival.every ?? '',
    hl7: addressOf(document.destinations?.hl7), dicom: addressOf(document.destinations?.dicom), thresholds: (like?.document.thresholds || []).join('\n'), pixels: '',
  }
}

function Form({ templates, like }) {
  const [values, setValues] = useState(() => valuesOf(like, templates))
  const [error, setError] = useState(null)
  const [busy, setBusy] = useState(false)
  const [checks, setChecks] = useState(null)
  const set = (name) => (value) => setValues({ ...values, [name]: value })
  const template = templates.find((each) => each.name === values.template)
  const wrong = (...fields) => fields.map((field) => error?.of?.(field)).filter(Boolean).join('; ')
  const submit = async (event) => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      const run = await post('/api/simulator/runs', bodyOf(values, like))
      toast(`Run ${run.run_key} is started`)
      go('runs', run.run_key)
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  const check = async () => {
    setChecks('busy')
    try {
      setChecks((await post('/api/simulator/destinations/check', { hl7: values.hl7 || null, dicom: values.dicom || null })).items)
    } catch (problem) {
      setChecks(null)
      setError(problem)
    }
  }
  return html`<form class="card" onSubmit=${submit} noValidate>
    ${error && html`<${ErrorNote} error=${error} fields=${NAMED} />`}
    <fieldset><legend>What</legend><div class="form">
      <${Select} label="Template" value=${values.template} onInput=${set('template')} options=${templates.map((each) => each.name)} hint=${template?.document.description} wrong=${wrong('template')} />
      <${Input} label="Orders" inputmode="numeric" value=${values.orders} onInput=${set('orders')} placeholder=${template?.document.orders ?? 1000} wrong=${wrong('orders')} />
      <${Input} label="Duration" value=${values.duration} onInput=${set('duration')} placeholder="until all orders are sent" hint="e.g. 90s, 10m, 1h30m" wrong=${wrong('duration', 'arrival.duration')} />
      <${Input} label="Seed" inputmode="numeric" value=${values.seed} onInput=${set('seed')} placeholder="drawn" hint="decides patients, studies and pixels" wrong=${wrong('seed')} />
      <${Select} label="Pixels" value=${values.pixels} onInput=${set('pixels')} options=${[['', 'as the template has it'], 'full', 'tiny']} wrong=${wrong('study.pixels')} /></div></fieldset>
    <fieldset><legend>How fast</legend><div class="form">
      <${Select} label="Arrival" value=${values.model} onInput=${set('model')} options=${Object.keys(MODELS).map((each) => [each, each === 'closed' ? 'closed: as fast as acknowledged' : each])} wrong=${wrong('arrival.model')} />
      ${MODELS[values.model].map((name) => html`<${Input} key=${name} label=${name === 'to' ? 'Up to' : name[0].toUpperCase() + name.slice(1)} value=${values[name]} onInput=${set(name)} hint=${HINTS[name]} wrong=${wrong(`arrival.${name}`)} />`)}</div>
      ${error?.of?.('arrival') && !wrong(...ARRIVAL) && html`<p class="field"><span class="wrong" role="alert">${error.of('arrival')}</span></p>`}</fieldset>
    <fieldset><legend>Whereto</legend><div class="form">
      <${Input} label="Order receiver (MLLP)" value=${values.hl7} onInput=${set('hl7')} placeholder="HOST:PORT; empty: a built-in one" wrong=${wrong('destinations.hl7')} />
      <${Input} label="Archive (DICOM)" value=${values.dicom} onInput=${set('dicom')} placeholder="AET@HOST:PORT; empty: a built-in one" wrong=${wrong('destinations.dicom')} />
      <div class="field"><span class="hint">MLLP connection and C-ECHO</span><button type="button" disabled=${checks === 'busy' || !(values.hl7 || values.dicom)} onClick=${check}>${checks === 'busy' ? 'Checking …' : 'Check the connections'}</button></div></div>
      ${Array.isArray(checks) && html`<${Table} label="Connections" rows=${checks} columns=${[['Destination', (row) => row.address], ['Answers', (row) => html`<b class=${row.ready ? 'good' : 'bad'}>${row.ready ? 'yes' : 'no'}</b>`], ['Detail', (row) => row.detail]]} />`}</fieldset>
    <fieldset><legend>What it must keep to</legend>
      <div class="field"><label for="thresholds">Thresholds, one a line</label><textarea id="thresholds" style="min-height: 76px" value=${values.thresholds} onInput=${(event) => set('thresholds')(event.target.value)} placeholder="hl7_ack.p95 < 200ms" aria-invalid=${wrong('thresholds') ? 'true' : undefined} aria-describedby="thresholds-wrong"></textarea>
      <span class="wrong" id="thresholds-wrong">${wrong('thresholds')}</span></div></fieldset>
    <button class="primary" disabled=${busy}>Start</button></form>`
}

const ARRIVAL = ['arrival.model', 'arrival.duration', ...Object.keys(HINTS).map((name) => `arrival.${name}`)]
const NAMED = ['template', 'orders', 'duration', 'seed', 'arrival', 'destinations.hl7', 'destinations.dicom', 'thresholds', 'study.pixels']

const number = (text) => (String(text).trim() === '' ? null : Number.isFinite(Number(text)) ? Number(text) : text)

function bodyOf(values, like) {
  const arrival = { model: values.model }
  for (const name of MODELS[values.model]) arrival[name] = TEXTS.includes(name) ? values[name] || null : number(values[name])
  const overrides = { arrival: Object.fromEntries(Object.entries(arrival).filter(([, value]) => value !== null)) }
  if (values.pixels) overrides['study.pixels'] = values.pixels
  return {
    template: like && values.template === like.template_name ? { ...like.document, thresholds: [] } : values.template,
    orders: number(values.orders), seed: number(values.seed), duration: values.duration || null,
    destinations: { hl7: values.hl7 || null, dicom: values.dicom || null }, overrides,
    thresholds: values.thresholds.split('\n').map((line) => line.trim()).filter(Boolean),
  }
}
