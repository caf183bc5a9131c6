// Editing a template, as a form or as YAML, checked by the server as one types.

import { ask, get, post, Problem } from '../api.js'
import { html, useEffect, useRef, useState } from '../dom.js'
import { focusFirst, Form } from '../form.js'
import { usePoll } from '../live.js'
import { leave, to, useGuard } from '../router.js'
import { Dialog, ErrorNote, Input, Loaded, toast } from '../ui.js'
import { yamlOf } from '../yaml.js'
import { TemplateForm } from './template_form.js'

const TEMPLATES = '/api/simulator/templates'
const PAUSE = 400 // ms without typing until what was typed is checked
const HIDDEN = '(hidden)' // what the server shows of a secret
const NEW = { orders: 1000, modalities: { CT: 1 }, steps: [{ type: 'GENERATE_HL7' }, { type: 'GENERATE_DICOM' }, { type: 'SEND_DICOM' }] }

export function EditTemplate({ name }) {
  const stored = usePoll(() => (name ? get(`${TEMPLATES}/${encodeURIComponent(name)}`) : Promise.resolve(null)), 60, false, [name])
  const types = usePoll(() => get('/api/simulator/step-types'), 60, false, [])
  return html`<${Loaded} ...${stored}>${(template) => html`<${Loaded} ...${types}>${({ items }) => html`<${Editor} stored=${template} types=${items} />`}</${Loaded}>`}</${Loaded}>`
}

function Editor({ stored, types }) {
  const original = stored?.document ?? NEW
  const [document, setDocument] = useState(original)
  const [text, setText] = useState(null) // the YAML while it is that which is edited
  const written = useRef({}) // the last YAML, and the document that it says
  const asYaml = text !== null
  const changed = asYaml ? text !== written.current.text || document !== original : JSON.stringify(document) !== JSON.stringify(original)
  const [checked, check] = useCheck(asYaml ? text : document, stored, changed || Boolean(stored))
  const [busy, setBusy] = useState(false)
  const [wanted, setWanted] = useState(null) // the address to go to, should what was changed be dropped
  const [copying, setCopying] = useState(false)
  const [refused, setRefused] = useState(null)
  const place = useRef()
  useEffect(() => { if (refused) focusFirst(place) }, [refused])
  useEffect(() => { setRefused(null) }, [document, text])
  useGuard(changed, setWanted)

  const showYaml = () => {
    if (written.current.document !== document) written.current = { document, text: yamlOf(document) }
    setText(written.current.text)
  }
  const showForm = async () => {
    if (text !== written.current.text) {
      const found = await check()
      if (!found) return toast('A form can be shown of what is valid only', 'bad')
      if (!keepsSecrets(text, found.document)) return toast(`Headers that are written out would get lost in the form: save the YAML, or write ${HIDDEN}`, 'bad')
      const resolved = withoutNulls(found.document)
      written.current = { document: resolved, text }
      setDocument(resolved)
    }
    setText(null)
  }
  const sent = async (request) => {
    setBusy(true)
    try {
      const template = await request()
      toast(`${template.name} is saved, version ${template.version}`)
      leave(to('templates', template.name))
    } finally {
      setBusy(false)
    }
  }
  const replace = async (body) => {
    const { version } = await get(`${TEMPLATES}/${stored.id}`)
    if (version === stored.version) return ask('PUT', `${TEMPLATES}/${stored.id}`, { body })
    throw new Problem({ detail: `Somebody saved version ${version} while version ${stored.version} was edited here: save this as a copy, or leave it and edit anew` }, 409)
  }
  const save = () => {
    const body = asYaml ? text : document
    return sent(() => (stored ? replace(body) : post(TEMPLATES, body))).catch((error) => {
      if (error.problems?.length) check.failed(error)
      setRefused(error)
    })
  }
  const copy = (name) => sent(async () => {
    const valid = await check()
    if (!valid) throw new Problem({ detail: 'The template is not valid: mend it first' }, 422)
    return post(TEMPLATES, { ...(asYaml ? withoutNulls(valid.document) : document), name })
  })

  return html`<div ref=${place}><div class="head"><h1>${stored ? html`<span class="soft">Edit</span> ${stored.name}` : 'New template'}</h1>
      <div class="actions" role="group" aria-label="Edit as"><button type="button" aria-pressed=${!asYaml} onClick=${asYaml ? showForm : undefined}>Form</button><button type="button" aria-pressed=${asYaml} onClick=${asYaml ? undefined : showYaml}>YAML</button></div></div>
    ${[refused, checked.error].filter((error) => error && !error.problems?.length).map((error) => html`<${ErrorNote} error=${error} />`)}
    ${asYaml
      ? html`<${Yaml} text=${text} change=${setText} error=${checked.error} />`
      : html`<${Form} document=${document} change=${setDocument} problems=${checked.error?.problems ?? []}><${TemplateForm} types=${types} delays=${checked.retry_delays} /></${Form}>`}
    <div class="card savebar"><${Standing} checked=${checked} changed=${changed} show=${() => focusFirst(place)} />
      <div class="actions"><a class="button" href=${stored ? to('templates', stored.name) : to('templates')}>${changed ? 'Cancel' : 'Back'}</a>
        ${stored && html`<button type="button" disabled=${busy || !checked.valid} onClick=${() => setCopying(true)}>Save as a copy</button>`}
        <button type="button" class="primary" disabled=${busy || (stored && !changed)} onClick=${save}>Save</button></div></div>
    ${copying && html`<${CopyDialog} name=${stored.name} copy=${copy} onClose=${() => setCopying(false)} />`}
    ${wanted && html`<${Dialog} title="Leave without saving?" onClose=${() => setWanted(null)}><p>What was changed here is lost then.</p>
      <div class="actions"><button onClick=${() => setWanted(null)}>Stay</button><button class="danger" onClick=${() => leave(wanted)}>Leave</button></div></${Dialog}>`}</div>`
}

// What the server says of a body, asked a moment after its last change: {valid, document, queues, retry_delays}, or
// {error}. `check()` asks at once.
function useCheck(body, stored, on) {
  const [found, setFound] = useState({})
  const latest = useRef(body)
  latest.current = body
  const check = async () => {
    const asked = body
    const answer = await ask('POST', `${TEMPLATES}/validate`, { body, query: { replaces: stored?.id }, key: false }).catch((error) => ({ error }))
    if (latest.current === asked) setFound(answer)
    return answer.valid ? answer : null
  }
  check.failed = (error) => setFound({ error })
  useEffect(() => {
    if (!on) return undefined
    const timer = setTimeout(check, PAUSE)
    return () => clearTimeout(timer)
  }, [body, on])
  return [found, check]
}

function Yaml({ text, change, error }) {
  const lines = error?.problems?.length ? error.beside([]) : []
  return html`<div class="card field"><label for="yaml">The template as YAML</label>
    ${lines.length > 0 && html`<div class="note bad" id="yaml-wrong" role="alert">${lines.map((line) => html`<p>${line}</p>`)}</div>`}
    <textarea id="yaml" class="yaml" spellcheck="false" autocapitalize="off" value=${text} onInput=${(event) => change(event.target.value)} aria-invalid=${error ? 'true' : undefined} aria-describedby=${lines.length ? 'yaml-wrong' : undefined}></textarea></div>`
}

function Standing({ checked, changed, show }) {
  const problems = checked.error?.problems?.length ?? 0
  const state = problems ? `${problems} ${problems === 1 ? 'problem' : 'problems'}` : checked.error ? 'Not checked' : checked.valid ? 'Valid' : ''
  return html`<div class="standing" role="status"><b class=${checked.error ? 'bad' : 'good'}>${state}</b>
    <span class="soft">${changed ? 'not saved yet' : 'nothing is changed'}</span>
    ${checked.queues?.length > 0 && html`<span class="soft queues">queues: <code>${checked.queues.join(', ')}</code></span>`}
    ${problems > 0 && html`<button type="button" class="plain" onClick=${show}>Show the first</button>`}</div>`
}

export function CopyDialog({ name, copy, onClose }) {
  const [typed, setTyped] = useState(`${name}-copy`)
  const [error, setError] = useState(null)
  const submit = (event) => {
    event.preventDefault()
    copy(typed).catch(setError)
  }
  return html`<${Dialog} title="Copy ${name}" onClose=${onClose}><form onSubmit=${submit} noValidate>
    ${error && html`<${ErrorNote} error=${error} fields=${['name']} />`}
    <${Input} label="Name of the copy" hint="small letters, digits, . _ -" autocomplete="off" spellcheck="false" value=${typed} onInput=${setTyped} wrong=${error?.of?.('name')} />
    <div class="actions"><button type="button" onClick=${onClose}>Leave it</button><button class="primary">Copy</button></div></form></${Dialog}>`
}

const keepsSecrets = (text, { webhook }) => text.split(HIDDEN).length > Object.keys(webhook?.headers ?? {}).length

const withoutNulls = (value) => {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null).map(([key, each]) => [key, withoutNulls(each)]))
}
