// Forms over a document: a field knows its path in it, shows what is there, and what the server says is wrong there.

import { createContext, html, useContext, useLayoutEffect, useRef, useState } from './dom.js'
import { Field } from './ui.js'

const Context = createContext(null)

// `problems` are the server's ({field, problem, cure}); `change` gets the next document.
export function Form({ document, change, problems, children }) {
  const paths = useRef(new Set()).current
  const [, setMounted] = useState(false)
  useLayoutEffect(() => setMounted(true), []) // by now, the fields have said where they are
  const wrong = (path) => problems.filter(({ field }) => ownerOf(field, paths) === path).map((each) => told(each, path)).join('; ')
  const others = problems.filter(({ field }) => !ownerOf(field, paths))
  return html`<${Context.Provider} value=${{ document, change, problems, paths, wrong }}>
    ${others.length > 0 && html`<div class="note bad" role="alert">${others.map((each) => html`<p>${told(each, '')}</p>`)}</div>`}
    ${children}</${Context.Provider}>`
}

// The path of the field that shows a problem: the innermost one around it.
export function ownerOf(field, paths) {
  const parts = field.split('.')
  for (let length = parts.length; length > 0; length -= 1) {
    const path = parts.slice(0, length).join('.')
    if (paths.has(path)) return path
  }
  return ''
}

// A problem as it reads beside the field at `path`.
export function told({ field, problem, cure }, path) {
  const inside = path && field.startsWith(`${path}.`) ? field.slice(path.length + 1) : field === path ? '' : field
  return `${inside ? `${inside}: ` : ''}${problem}${cure ? ` (${cure})` : ''}`
}

export const at = (document, path) => path.split('.').reduce((place, key) => place?.[key], document)

// The document with another value at `path`; undefined takes what is there away.
export function put(document, path, value) {
  const [key, ...rest] = path.split('.')
  const copy = Array.isArray(document) ? [...document] : { ...document }
  copy[key] = rest.length ? put(copy[key], rest.join('.'), value) : value
  if (copy[key] === undefined) delete copy[key]
  return copy
}

// Goes to the first field that is wrong.
export function focusFirst(place) {
  const find = (selector) => place.current?.querySelector(selector)
  const first = find('[aria-invalid="true"]') ?? find('.wrong:not(:empty), .note.bad')
  if (!first) return
  for (let around = first.closest('details'); around; around = around.parentElement.closest('details')) around.open = true
  if (first.matches('input, select, textarea')) first.focus()
  first.scrollIntoView({ block: 'center' })
}

// What is wrong at each of these paths, as a function of the path; problems there are shown by whoever asks.
export function useWrong(...mine) {
  const { paths, wrong } = useContext(Context)
  useLayoutEffect(() => {
    mine.forEach((path) => paths.add(path))
    return () => mine.forEach((path) => paths.delete(path))
  }, [mine.join()])
  return wrong
}

// Whether anything is wrong within these paths.
export function useTrouble(...paths) {
  const { problems } = useContext(Context)
  return problems.some(({ field }) => paths.some((path) => field === path || field.startsWith(`${path}.`)))
}

export function useField(path) {
  const { document, change } = useContext(Context)
  return { value: at(document, path), set: (value) => change(put(document, path, value)), wrong: useWrong(path)(path) }
}

// --- what is typed, and what it means ---

export const number = (text) => {
  const trimmed = String(text).trim()
  return trimmed === '' ? undefined : Number.isFinite(Number(trimmed)) ? Number(trimmed) : text
}
export const text = (typed) => (typed === '' ? undefined : typed)
export const shown = (value) => (value === undefined || value === null ? '' : String(value))

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other)

// What was typed, as long as it means the value: `1.` stays while the value is 1. `read` and `show` are each other's inverse.
export function useTyped(value, read, show) {
  const [typed, setTyped] = useState(() => show(value))
  return [same(read(typed), value) ? typed : show(value), setTyped]
}

// A control of what is typed: an input, or a text area.
export function Typed({ label, hint, wrong, value, change, read = text, show = shown, area = false, ...rest }) {
  const [typed, setTyped] = useTyped(value, read, show)
  const type = (event) => { setTyped(event.target.value); change(read(event.target.value)) }
  return html`<${Field} label=${label} hint=${hint} wrong=${wrong}>${(attributes) => (area
    ? html`<textarea ...${attributes} ...${rest} spellcheck="false" value=${typed} onInput=${type}></textarea>`
    : html`<input ...${attributes} ...${rest} value=${typed} onInput=${type} />`)}</${Field}>`
}

// --- fields of a form's document ---

export function TextField({ path, ...rest }) {
  const { value, set, wrong } = useField(path)
  return html`<${Typed} ...${rest} value=${value} change=${set} wrong=${wrong} />`
}

export const NumberField = (props) => html`<${TextField} inputmode="decimal" ...${props} read=${number} />`

const lines = (typed) => typed.split('\n').map((line) => line.trim()).filter(Boolean)
export const LinesField = (props) => html`<${TextField} ...${props} area read=${lines} show=${(value) => (value || []).join('\n')} />`

export function ChoiceField({ path, label, hint, options }) {
  const { value, set, wrong } = useField(path)
  const known = options.map((option) => (Array.isArray(option) ? option : [option, option]))
  const all = value === undefined || known.some(([name]) => name === value) ? known : [...known, [value, String(value)]]
  return html`<${Field} label=${label} hint=${hint} wrong=${wrong}>${(attributes) => html`<select ...${attributes} value=${value ?? ''} onInput=${(event) => set(text(event.target.value))}>
    ${all.map(([name, title]) => html`<option value=${name} selected=${name === (value ?? '')}>${title}</option>`)}</select>`}</${Field}>`
}

export const Check = ({ label, checked, change }) => html`<div class="field"><label class="check"><input type="checkbox" checked=${checked} onChange=${(event) => change(event.target.checked)} />${label}</label></div>`

export function CheckField({ path, label }) {
  const { value, set } = useField(path)
  return html`<${Check} label=${label} checked=${value === true} change=${set} />`
}

// A mapping as JSON. What is no JSON is kept as the text it is, which the server refuses.
export function JsonField({ path, ...rest }) {
  const { value, set, wrong } = useField(path)
  const read = (typed) => { try { return typed.trim() ? JSON.parse(typed) : undefined } catch { return typed } }
  const show = (found) => (found === undefined || same(found, {}) ? '' : typeof found === 'string' ? found : JSON.stringify(found, null, 2))
  const trouble = typeof value === 'string' ? 'this is no JSON; write for example {"seconds": 30}' : wrong
  return html`<${Typed} ...${rest} area read=${read} show=${show} value=${value} change=${set} wrong=${trouble} />`
}

const mappingOf = (rows) => Object.fromEntries(rows.filter(([key]) => key))

// A mapping of scalars, a row for each; a row without a name is not there yet.
export function PairsField({ path, label, name, add }) {
  const { value, set, wrong } = useField(path)
  const [rows, setRows] = useTyped(value ?? {}, mappingOf, Object.entries)
  const pairs = rows.filter(([key]) => key)
  const change = (next) => { setRows(next); set(mappingOf(next)) }
  const write = (index, part, typed) => change(rows.map((row, at) => (at === index ? row.with(part, typed) : row)))
  const twice = pairs.find(([key], index) => pairs.some(([other], at) => at < index && other === key))?.[0]
  const trouble = [twice && `${twice} is there twice; the last one counts`, wrong].filter(Boolean).join('; ')
  return html`<div class="field pairs-field" role="group" aria-label=${label}><span class="label">${label}</span>
    ${rows.map(([key, item], index) => html`<div class="pair" key=${index}>
      <input aria-label="${name} ${index + 1}: name" placeholder="name" value=${key} onInput=${(event) => write(index, 0, event.target.value)} />
      <${Scalar} label="${name} ${index + 1}: value" value=${item} change=${(next) => write(index, 1, next)} />
      <button type="button" class="plain" aria-label="Remove ${name} ${index + 1}" onClick=${() => change(rows.filter((_, at) => at !== index))}>Remove</button></div>`)}
    ${trouble && html`<span class="wrong" role="alert">${trouble}</span>`}
    <div><button type="button" onClick=${() => setRows([...rows, ['', '']])}>${add}</button></div></div>`
}

// Numbers, true and false are what they look like; in quotes, they are texts.
function Scalar({ label, value, change }) {
  const read = (typed) => {
    try {
      const found = JSON.parse(typed)
      return found === null || typeof found === 'object' ? typed : found
    } catch { return typed }
  }
  const show = (found) => (typeof found === 'string' && read(found) !== found ? JSON.stringify(found) : String(found))
  const [typed, setTyped] = useTyped(value, read, show)
  return html`<input aria-label=${label} placeholder="value" value=${typed} onInput=${(event) => { setTyped(event.target.value); change(read(event.target.value)) }} />`
}
