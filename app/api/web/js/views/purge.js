// Emptying a queue, and deciding what becomes of the jobs whose messages these were.

import { post } from '../api.js'
import { html, useState } from '../dom.js'
import { count } from '../format.js'
import { Dialog, ErrorNote, toast } from '../ui.js'
import { sum } from './parked.js'

const FATES = [
  ['park', 'Park them', 'They wait until they are released on this page.'],
  ['dead-letter', 'Make them dead letters', 'Their orders fail; each can be retried.'],
  ['cancel', 'Cancel them', 'Their orders are cancelled for good.'],
]

export function Purge({ queue, onClose, done }) {
  const [fate, setFate] = useState('park')
  const [error, setError] = useState(null)
  const [busy, setBusy] = useState(false)
  const submit = async (event) => {
    event.preventDefault()
    setBusy(true)
    try {
      const { messages, runs } = await post(`/api/admin/queues/${encodeURIComponent(queue.name)}/purge`, { jobs: fate })
      toast(`${count(messages)} messages are thrown away, ${count(sum(runs))} jobs are settled`)
      done()
      onClose()
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  return html`<${Dialog} title="Purge ${queue.name}?" onClose=${onClose}><form onSubmit=${submit}>
    ${error && html`<${ErrorNote} error=${error} />`}
    <p>${count(queue.ready)} messages wait in it now. What workers have begun is finished by them.</p>
    <fieldset><legend>What becomes of the jobs?</legend>${FATES.map(([name, title, meaning]) => html`<label class="choice">
      <input type="radio" name="fate" value=${name} checked=${fate === name} onChange=${() => setFate(name)} /><span><b>${title}</b><br /><span class="soft">${meaning}</span></span></label>`)}</fieldset>
    <div class="actions"><button type="button" onClick=${onClose}>Leave it</button><button class="danger" disabled=${busy}>Purge</button></div></form></${Dialog}>`
}
