// One dead letter: why the job was given up, what was tried, and what it said.

import { ask, get, post } from '../api.js'
import { html } from '../dom.js'
import { count, seconds, words } from '../format.js'
import { usePoll } from '../live.js'
import { to } from '../router.js'
import { Action, Badge, Loaded, Moment, Pairs, Table } from '../ui.js'
import { KINDS, LETTERS, LetterState } from './dead_letter_words.js'

const OUTCOMES = { succeeded: 'good', failed: 'bad', cancelled: 'open', retried: 'open', parked: 'open', reopened: 'live' }

export function DeadLetter({ id, may }) {
  const found = usePoll(() => get(`${LETTERS}/${encodeURIComponent(id)}`), 5, true, [id])
  return html`<p><a href=${to('dead-letters')}>All dead letters</a></p>
    ${!found.value && html`<div class="head"><h1><span class="soft">Dead letter</span> ${id}</h1></div>`}
    <div><${Loaded} ...${found}>${(letter) => html`<${Head} letter=${letter} may=${may} again=${found.again} />
      <div class="note ${letter.state === 'OPEN' ? 'bad' : ''}"><p>${letter.reason}</p></div>
      ${letter.state === 'OPEN' && !letter.run_id && html`<div class="note open"><p>It is no job of a run, so nothing can be tried again. Look at the message, then discard the letter.</p></div>`}
      <div class="card"><h2>What it was</h2><${Facts} letter=${letter} /></div>
      <${History} attempts=${letter.history} />
      ${letter.traceback && html`<div class="card"><h2>Traceback</h2><pre>${letter.traceback}</pre></div>`}
      <div class="card"><h2>Message</h2><pre>${readable(letter.body) || 'It was empty.'}</pre></div>`}</${Loaded}></div>`
}

function Head({ letter, may, again }) {
  const path = `${LETTERS}/${letter.id}`
  const isOpen = letter.state === 'OPEN'
  return html`<div class="head"><h1><span class="soft">Dead letter</span> ${letter.id}</h1><${LetterState} state=${letter.state} /><span class="soft">${words(letter.kind)}: ${KINDS[letter.kind]}</span>
    <div class="actions">
      ${may('operator') && isOpen && letter.run_id && html`<${Action} act=${() => post(`${path}/retry`).finally(again)} done=${toldOfRetry} confirm="Its one job goes on where it failed; if its run has ended with errors, it is reopened.">Retry</${Action}>`}
      ${may('admin') && isOpen && html`<${Action} kind="danger" act=${() => ask('DELETE', path).finally(again)} done="The letter is discarded" confirm="This one letter is settled without doing anything; its order stays failed.">Discard</${Action}>`}</div></div>`
}

const toldOfRetry = ({ runs }) => (runs.length ? `The job goes on, in run ${runs[0].run_key}` : 'It was retried before')

function Facts({ letter }) {
  const { run_key: run, order_number: order } = letter
  return html`<${Pairs} pairs=${[
    ['Run', run ? html`<a href=${to('runs', run)}><code>${run}</code></a>` : 'none that is known here'],
    ['Order', run && order !== null ? html`<a href=${to('runs', run, 'orders', order)}>${count(order)}</a>` : '–'],
    ['Step', letter.step_type ? html`<code>${letter.step_type}</code>${letter.step_index === null ? '' : `, step ${letter.step_index}`}` : '–'],
    ['Queue', html`<code>${letter.queue || '–'}</code>`],
    ['Job', html`<code>${letter.job_id || '–'}</code>`],
    ['Last worker', html`<code>${letter.worker || '–'}</code>`],
    ['Epoch', String(letter.epoch)],
    ['Given up', html`<${Moment} at=${letter.at} />`],
    ...(letter.settled_at ? [[letter.state === 'RETRIED' ? 'Retried' : 'Discarded', html`<${Moment} at=${letter.settled_at} />`]] : []),
  ]} />`
}

function History({ attempts }) {
  return html`<div class="card"><h2>What was tried</h2><${Table} label="What was tried" rows=${attempts} empty="Nothing is known of it: the order's events are gone, or it never was a job." columns=${[
    ['At', (each) => html`<${Moment} at=${each.at} />`],
    ['Start', (each) => count(each.starts), true],
    ['Step', (each) => count(each.step_index), true],
    ['Outcome', (each) => (each.outcome ? html`<${Badge} word=${each.outcome} kind=${OUTCOMES[each.outcome]} />` : html`<span class="soft">not heard of again</span>`)],
    ['Reason', (each) => html`<div class="reason">${each.reason}${each.cause && html` <span class="soft">(${words(each.cause)})</span>`}</div>`],
    ['Again after', (each) => (each.delay_seconds === null ? '' : seconds(each.delay_seconds)), true],
    ['Worker', (each) => (each.worker ? html`<code>${each.worker}</code>` : '')],
    ['Ended', (each) => (each.ended_at ? html`<${Moment} at=${each.ended_at} />` : '')],
  ]} /></div>`
}

// JSON with its lines; whatever else as it is.
function readable(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}
