// Starting a run: what, how much, how fast, whereto, and what it must keep to.

import { get, newKey, post } from '../api.js'
import { ArrivalFields, ARRIVAL_PATHS, Day, sentenceOf } from '../arrival.js'
import { html, useEffect, useRef, useState } from '../dom.js'
import { focusFirst, number, ownerOf, told } from '../form.js'
import { span } from '../format.js'
import { usePoll } from '../live.js'
import { go } from '../router.js'
import { ErrorNote, Input, Loaded, Select, Table, toast } from '../ui.js'

export function Start({ query }) {
  const templates = usePoll(() => get('/api/simulator/templates'), 60, false, [])
  const like = usePoll(() => (query.get('like') ? get(`/api/simulator/runs/${query.get('like')}`) : Promise.resolve(null)), 60, false, [query.get('like')])
  return html`<div class="head"><h1>Start a run</h1></div>
    <${Loaded} ...${templates}>${({ items }) => html`<${Loaded} ...${like}>${(run) => html`<${Form} key=${run?.id ?? query.get('template')} templates=${items} like=${run} template=${query.get('template')} />`}</${Loaded}>`}</${Loaded}>`
}

function addressOf(destination) {
  if (!destination) return ''
  const host = destination.host.includes(':') ? `[${destination.host}]` : destination.host
  return `${destination.aet ? `${destination.aet}@` : ''}${host}:${destination.port}`
}

// What the form shows is an address; the run's own destination, with its TLS and limits, stays where that is unchanged.
const changed = (address, destination) => (address === addressOf(destination) ? null : address || null)

// The copy of a run's template. Headers of its webhook are never shown, so they can't be sent again.
function copyOf(document, values) {
  const { webhook, destinations = {}, ...rest } = document
  const isHidden = Object.values(webhook?.headers ?? {}).some((value) => value === HIDDEN)
  const kept = Object.fromEntries(Object.entries(destinations).filter(([name]) => values[name]))
  return { ...rest, ...(webhook && !isHidden ? { webhook } : {}), destinations: kept, thresholds: [] }
}

const HIDDEN = '(hidden)'

function valuesOf(like, templates, template) {
  const document = like?.document
  return {
    template: like?.template_name ?? (templates.find((each) => each.name === template) ?? templates[0])?.name ?? '', orders: String(like?.requested ?? ''), seed: '', duration: '', pixels: '',
    arrival: null, // as the template has it
    hl7: addressOf(document?.destinations?.hl7), dicom: addressOf(document?.destinations?.dicom), thresholds: (document?.thresholds ?? []).join('\n'),
  }
}

function Form({ templates, like, template: asked }) {
  const [values, setValues] = useState(() => valuesOf(like, templates, asked))
  const [error, setError] = useState(null)
  const [busy, setBusy] = useState(false)
  const [checks, setChecks] = useState(null)
  const place = useRef()
  const asking = useRef({}) // one key for one request: sent again after a lost answer, it starts no second run
  useEffect(() => { if (error) focusFirst(place) }, [error])
  const set = (name) => (value) => setValues({ ...values, [name]: value })
  const template = templates.find((each) => each.name === values.template)
  const isLike = Boolean(like) && values.template === like.template_name
  const document = isLike ? like.document : template?.document
  const keep = isLike ? 'as that run had it' : 'as the template has it'
  const own = isLike ? [] : document?.thresholds ?? [] // a run's are in its form
  const wrong = (...fields) => (error?.problems ?? []).filter(({ field }) => fields.includes(ownerOf(field, FIELDS))).map((each) => told(each, ownerOf(each.field, FIELDS))).join('; ')
  const submit = async (event) => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      const body = bodyOf(values, isLike ? like : null)
      const text = JSON.stringify(body)
      if (asking.current.text !== text) asking.current = { text, key: newKey() }
      const run = await post('/api/simulator/runs', body, asking.current.key)
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
  return html`<form class="card" onSubmit=${submit} noValidate ref=${place}>
    ${error && html`<${ErrorNote} error=${error} fields=${[...FIELDS]} />`}
    <fieldset><legend>What</legend><div class="form">
      <${Select} label="Template" value=${values.template} onInput=${set('template')} options=${templates.map((each) => each.name)} hint=${template?.document.description} wrong=${wrong('template')} />
      <${Input} label="Orders" inputmode="numeric" value=${values.orders} onInput=${set('orders')} placeholder=${document?.orders ?? 1000} wrong=${wrong('orders')} />
      <${Input} label="Duration" value=${values.duration} onInput=${set('duration')} placeholder=${!values.arrival && document?.arrival?.duration ? span(document.arrival.duration) : 'until all orders are sent'} hint="e.g. 90s, 10m, 1h30m" wrong=${wrong('duration', 'arrival.duration')} />
      <${Input} label="Seed" inputmode="numeric" value=${values.seed} onInput=${set('seed')} placeholder="drawn" hint="decides patients, studies and pixels" wrong=${wrong('seed')} />
      <${Select} label="Pixels" value=${values.pixels} onInput=${set('pixels')} options=${[['', keep], 'full', 'tiny']} wrong=${wrong('study.pixels')} /></div></fieldset>
    <fieldset><legend>How fast</legend><${ArrivalFields} arrival=${values.arrival} change=${set('arrival')} wrong=${wrong} keep=${keep} />
      ${!values.arrival && html`<p class="soft below">${sentenceOf(document?.arrival)}.</p>${document?.arrival?.hourly && html`<${Day} hourly=${document.arrival.hourly} />`}`}</fieldset>
    <fieldset><legend>Whereto</legend><div class="form">
      <${Input} label="Order receiver (MLLP)" value=${values.hl7} onInput=${set('hl7')} placeholder=${addressOf(document?.destinations?.hl7) || 'HOST:PORT; empty: a built-in one'} wrong=${wrong('destinations.hl7')} />
      <${Input} label="Archive (DICOM)" value=${values.dicom} onInput=${set('dicom')} placeholder=${addressOf(document?.destinations?.dicom) || 'AET@HOST:PORT; empty: a built-in one'} wrong=${wrong('destinations.dicom')} />
      <div class="field"><span class="hint">MLLP connection and C-ECHO</span><button type="button" disabled=${checks === 'busy' || !(values.hl7 || values.dicom)} onClick=${check}>${checks === 'busy' ? 'Checking …' : 'Check the connections'}</button></div></div>
      ${Array.isArray(checks) && html`<${Table} label="Connections" rows=${checks} columns=${[['Destination', (row) => row.address], ['Answers', (row) => html`<b class=${row.ready ? 'good' : 'bad'}>${row.ready ? 'yes' : 'no'}</b>`], ['Detail', (row) => row.detail]]} />`}</fieldset>
    <fieldset><legend>What it must keep to</legend>
      ${own.length > 0 && html`<p class="soft">The template's own:</p><ul class="plain-list" aria-label="The template's own thresholds">${own.map((each) => html`<li><code>${each}</code></li>`)}</ul>`}
      <div class="field ${own.length ? 'below' : ''}"><label for="thresholds">${own.length ? 'And this run\'s, one a line' : 'Thresholds, one a line'}</label><textarea id="thresholds" style="min-height: 76px" value=${values.thresholds} onInput=${(event) => set('thresholds')(event.target.value)} placeholder="hl7_ack.p95 < 200ms" aria-invalid=${wrong('thresholds') ? 'true' : undefined} aria-describedby="thresholds-wrong"></textarea>
      <span class="wrong" id="thresholds-wrong">${wrong('thresholds')}</span></div></fieldset>
    <button class="primary" disabled=${busy}>Start</button></form>`
}

const FIELDS = new Set(['template', 'orders', 'duration', 'seed', ...ARRIVAL_PATHS, 'destinations.hl7', 'destinations.dicom', 'thresholds', 'study.pixels'])

function bodyOf(values, like) {
  const overrides = {}
  const own = like?.document.destinations
  if (values.arrival) overrides.arrival = values.arrival
  if (values.pixels) overrides['study.pixels'] = values.pixels
  return {
    template: like ? copyOf(like.document, values) : values.template,
    orders: number(values.orders), seed: number(values.seed), duration: values.duration || null,
    destinations: { hl7: changed(values.hl7, own?.hl7), dicom: changed(values.dicom, own?.dicom) }, overrides,
    thresholds: values.thresholds.split('\n').map((line) => line.trim()).filter(Boolean),
  }
}
