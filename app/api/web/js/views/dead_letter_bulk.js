// Doing something about all open dead letters that the filter names: counted first, and then no more than was said.

import { get } from '../api.js'
import { html, useState } from '../dom.js'
import { count } from '../format.js'
import { Dialog, toast } from '../ui.js'
import { LETTERS } from './dead_letter_words.js'

const MOST = 1000 // that the server settles at once

export function Bulk({ title, kind = '', filters, disabled, says, act, told, done }) {
  const [many, setMany] = useState(null)
  const [busy, setBusy] = useState(false)
  const during = (work) => async () => {
    setBusy(true)
    await work().catch((error) => toast(error.message, 'bad'))
    setBusy(false)
  }
  const look = during(async () => setMany(await countOpen(filters)))
  const go = during(async () => {
    setMany(null)
    const outcome = await act({ ...given(filters), limit: many })
    toast(told(outcome))
    done(outcome)
  })
  const isFiltered = Object.keys(given(filters)).length > 0
  return html`<button class=${kind} disabled=${busy || disabled} aria-busy=${busy} onClick=${look}>${title} ${isFiltered ? 'what is filtered' : 'all'} …</button>
    ${many === 0 && html`<${Dialog} title="${title} dead letters" onClose=${() => setMany(null)}><p>No open dead letter is like this.</p>
      <div class="actions"><button class="primary" onClick=${() => setMany(null)}>Well</button></div></${Dialog}>`}
    ${many > 0 && html`<${Dialog} title="${title} ${many === MOST ? 'the oldest ' : ''}${count(many)} dead ${many === 1 ? 'letter' : 'letters'}?" onClose=${() => setMany(null)}>
      <p>${says}</p>${isFiltered && html`<p class="soft">Those that are open, and: ${Object.entries(given(filters)).map(([name, value]) => `${LABELS[name]} ${value}`).join(', ')}.</p>`}
      ${many === MOST && html`<p>There may be more; ${count(MOST)} are settled at once.</p>`}
      <div class="actions"><button onClick=${() => setMany(null)}>Leave it</button><button class=${kind || 'primary'} onClick=${go}>${title} ${count(many)}</button></div></${Dialog}>`}`
}

const LABELS = { kind: 'kind', run: 'run', queue: 'queue', step_type: 'step', search: 'reason with' }

const given = (filters) => Object.fromEntries(Object.entries(filters).filter(([, value]) => value))

async function countOpen(filters) {
  let many = 0
  let after
  do {
    const page = await get(LETTERS, { ...filters, state: 'OPEN', limit: 500, after })
    many += page.items.length
    after = page.next_cursor
  } while (after && many < MOST)
  return Math.min(many, MOST)
}
