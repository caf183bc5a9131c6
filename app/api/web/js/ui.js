// The pieces that views share.

import { html, useEffect, useRef, useState } from './dom.js'
import { exact, moment, tone, words } from './format.js'

export const Badge = ({ word, kind }) => html`<span class="badge ${kind ?? tone(word)}">${words(word)}</span>`

export const Moment = ({ at }) => html`<time datetime=${exact(at)} title=${exact(at)}>${moment(at)}</time>`

export const Figures = ({ pairs }) => html`<dl class="figures">${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`

export const Pairs = ({ pairs }) => html`<dl class="pairs">${pairs.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`

// A problem, with what to do about it.
export function ErrorNote({ error, fields = [] }) {
  const lines = error.beside ? error.beside(fields) : [String(error.message || error)]
  return lines.length ? html`<div class="note bad" role="alert">${lines.map((line) => html`<p>${line}</p>`)}</div>` : null
}

export const Empty = ({ children }) => html`<div class="empty">${children}</div>`

// What was loaded, what failed, or that it is on its way.
export function Loaded({ value, error, children }) {
  if (error && value === undefined) return html`<${ErrorNote} error=${error} />`
  if (value === undefined) return html`<p class="soft" role="status">Loading …</p>`
  return html`${error ? html`<${ErrorNote} error=${error} />` : null}${children(value)}`
}

// Columns are [heading, row => cell, is a number?]; a row's link is where its first cell leads.
export function Table({ label, columns, rows, link, empty = 'Nothing is here.' }) {
  if (!rows.length) return html`<${Empty}>${empty}</${Empty}>`
  return html`<div class="wide" tabindex="0" role="region" aria-label=${label}><table>
    <thead><tr>${columns.map(([heading, , number]) => html`<th scope="col" class=${number ? 'number' : ''}>${heading}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr class=${link ? 'link' : ''}>${columns.map(([, cell, number], index) => {
      const content = cell(row)
      if (index) return html`<td class=${number ? 'number' : ''}>${content}</td>`
      return html`<th scope="row" class=${number ? 'number' : ''}>${link ? html`<a href=${link(row)}>${content}</a>` : content}</th>`
    })}</tr>`)}</tbody></table></div>`
}

let fields = 0
// A labelled control; `wrong` is what the server says of it. The control is its only child, a function of its attributes.
export function Field({ label, hint, wrong, children }) {
  const id = useRef(`field-${fields += 1}`).current
  const told = [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(' ')
  const attributes = { id, 'aria-describedby': told || undefined, 'aria-invalid': wrong ? 'true' : undefined }
  return html`<div class="field"><label for=${id}>${label}</label>${children(attributes)}
    ${hint && html`<span class="hint" id="${id}-hint">${hint}</span>`}
    ${wrong && html`<span class="wrong" id="${id}-wrong" role="alert">${wrong}</span>`}</div>`
}

export const Input = ({ label, hint, wrong, value, onInput, ...rest }) => html`<${Field} label=${label} hint=${hint} wrong=${wrong}>
  ${(attributes) => html`<input ...${attributes} ...${rest} value=${value} onInput=${(event) => onInput(event.target.value)} />`}</${Field}>`

export const Select = ({ label, hint, wrong, value, onInput, options }) => html`<${Field} label=${label} hint=${hint} wrong=${wrong}>
  ${(attributes) => html`<select ...${attributes} value=${value} onInput=${(event) => onInput(event.target.value)}>
    ${options.map((option) => { const [name, text] = Array.isArray(option) ? option : [option, option]; return html`<option value=${name} selected=${name === value}>${text}</option>` })}
  </select>`}</${Field}>`

// A button that does something on the server: busy meanwhile, and what went wrong is told.
export function Action({ act, done, kind = '', confirm, disabled, children }) {
  const [busy, setBusy] = useState(false)
  const [asking, setAsking] = useState(false)
  const go = async () => {
    setAsking(false)
    setBusy(true)
    try {
      const result = await act()
      if (done) toast(typeof done === 'function' ? done(result) : done)
    } catch (error) {
      toast(error.message, 'bad')
    } finally {
      setBusy(false)
    }
  }
  return html`<button class=${kind} disabled=${busy || disabled} aria-busy=${busy} onClick=${confirm ? () => setAsking(true) : go}>${children}</button>
    ${asking && html`<${Dialog} title=${children} onClose=${() => setAsking(false)}>
      <p>${confirm}</p><div class="actions"><button onClick=${() => setAsking(false)}>Leave it</button><button class=${kind || 'primary'} onClick=${go}>${children}</button></div></${Dialog}>`}`
}

export function Dialog({ title, onClose, children }) {
  const dialog = useRef()
  useEffect(() => { dialog.current.showModal() }, [])
  return html`<dialog ref=${dialog} onClose=${onClose} aria-labelledby="dialog-title"><h2 id="dialog-title">${title}</h2>${children}</dialog>`
}

// --- messages that pass ---

let show = () => {}
export const toast = (text, kind = '') => show(text, kind)

export function Toasts() {
  const [toasts, setToasts] = useState([])
  useEffect(() => {
    show = (text, kind) => {
      const one = { text, kind }
      setToasts((before) => [...before.slice(-3), one])
      setTimeout(() => setToasts((before) => before.filter((each) => each !== one)), kind === 'bad' ? 10_000 : 4000)
    }
  }, [])
  return html`<div class="toasts" role="status" aria-live="polite">${toasts.map(({ text, kind }) => html`<div class=${kind}>${text}</div>`)}</div>`
}
