// The steps of a template's form: added, removed, moved and filled in.

import { ChoiceField, JsonField, NumberField, PairsField, TextField, useField, useTrouble, useWrong } from '../form.js'
import { html, useEffect, useRef, useState } from '../dom.js'
import { span } from '../format.js'
import { Select } from '../ui.js'

export function Steps({ types, delays }) {
  const { value, set, wrong } = useField('steps')
  const steps = Array.isArray(value) ? value : []
  const list = useRef()
  const [there, setThere] = useState(null) // the step to go to once it is drawn
  useEffect(() => {
    if (there === null) return
    list.current.children[there]?.focus()
    setThere(null)
  }, [there])
  const change = (next, position) => { set(next); setThere(position) }
  const move = (from, to) => change(steps.toSpliced(from, 1).toSpliced(to, 0, steps[from]), to)
  return html`<section class="card" aria-label="Steps"><h2>Steps</h2>
    ${wrong && html`<p class="field"><span class="wrong" role="alert">${wrong}</span></p>`}
    <div class="steps" role="list" ref=${list}>${steps.map((step, index) => html`<${Step} key=${index} step=${step} index=${index} types=${types} delays=${delays?.[index - 1]}
      up=${index > 0 && (() => move(index, index - 1))} down=${index < steps.length - 1 && (() => move(index, index + 1))}
      remove=${() => change(steps.toSpliced(index, 1), Math.max(index - 1, 0))} />`)}</div>
    <${Add} types=${types} add=${(type) => change([...steps, { type }], steps.length)} /></section>`
}

function Add({ types, add }) {
  const [type, setType] = useState('SEND_DICOM')
  return html`<div class="filters" style="margin: 0"><${Select} label="Another step" value=${type} onInput=${setType} options=${types.map(({ name }) => name)} />
    <button type="button" onClick=${() => add(type)}>Add it</button></div>`
}

function Step({ step, index, types, delays, up, down, remove }) {
  const path = `steps.${index}`
  const wrong = useWrong(path)(path)
  const name = `step ${index + 1}, ${step.type}`
  const button = (title, act) => html`<button type="button" disabled=${!act} aria-label="${title} ${name}" onClick=${act || undefined}>${title}</button>`
  return html`<div class="step" role="listitem" tabindex="-1" aria-label="Step ${index + 1}: ${step.type}">
    <div class="head"><h3><span class="soft">${index + 1}</span> ${step.type}</h3><div class="actions">${button('Up', up)}${button('Down', down)}${button('Remove', remove)}</div></div>
    ${wrong && html`<p class="field"><span class="wrong" role="alert">${wrong}</span></p>`}
    <div class="form">
      <${ChoiceField} path="${path}.type" label="Type" options=${types.map((type) => type.name)} hint=${types.find((type) => type.name === step.type)?.uses_archive ? 'waits while the archive is away' : undefined} />
      <${TextField} path="${path}.name" label="Name" placeholder="none" />
      <${Place} path=${path} step=${step} index=${index} /></div>
    <${More} path=${path} delays=${delays} /></div>`
}

// Orders are sent by the producer: a first step has no mode and no queue.
function Place({ path, step, index }) {
  if (index === 0 && !step.mode && !step.queue) return html`<div class="field"><span class="label">Runs</span><span class="soft">in the producer, as orders are sent</span></div>`
  return html`<${ChoiceField} path="${path}.mode" label="Mode" options=${[['', 'as its place says (the default)'], ['queued', 'queued: a worker does it'], ['inline', 'inline: the producer does it']]} />
    ${step.mode !== 'inline' || step.queue ? html`<${TextField} path="${path}.queue" label="Queue" placeholder="the server's order queue" spellcheck="false" />` : null}`
}

const PARTS = ['retry', 'timeout', 'job_type', 'queue_metadata', 'parameters']

function More({ path, delays }) {
  const open = useRef(false) // and it stays so while it is mended
  open.current ||= useTrouble(...PARTS.map((part) => `${path}.${part}`))
  const waits = delays?.length ? `waits between attempts: ${delays.map(span).join(', ')}` : undefined
  return html`<details open=${open.current || undefined}><summary>Parameters, retry, timeout and queue metadata</summary><div class="form">
      <${NumberField} path="${path}.timeout" label="Timeout" placeholder="300" hint="seconds" />
      <${NumberField} path="${path}.retry.max_attempts" label="Attempts" placeholder="3" hint=${waits} />
      <${NumberField} path="${path}.retry.first_delay" label="First delay" placeholder="1" hint="seconds" />
      <${NumberField} path="${path}.retry.factor" label="Factor" placeholder="2" hint="each delay, of the last one" />
      <${NumberField} path="${path}.retry.cap" label="Longest delay" placeholder="600" hint="seconds" />
      <${NumberField} path="${path}.retry.patience" label="Patience" placeholder="3600" hint="seconds, for a destination that is away" />
      <${TextField} path="${path}.job_type" label="Job type" placeholder="none" spellcheck="false" /></div>
    <div class="form"><${JsonField} path="${path}.parameters" label="Parameters" hint="as JSON" rows="4" placeholder="{}" />
      <${PairsField} path="${path}.queue_metadata" label="Queue metadata" name="Entry" add="Add an entry" /></div></details>`
}
