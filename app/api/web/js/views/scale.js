// Giving a pool a number of workers for a while.

import { post } from '../api.js'
import { html, useState } from '../dom.js'
import { Dialog, ErrorNote, Input, Select, toast } from '../ui.js'

const WHILES = [['', 'as the server is set'], ['900', '15 minutes'], ['3600', '1 hour'], ['14400', '4 hours'], ['86400', '1 day'], ['604800', '1 week']]

export function Scale({ pool, onClose }) {
  const [replicas, setReplicas] = useState(String(pool.pin?.replicas ?? pool.decision?.after ?? pool.min))
  const [seconds, setSeconds] = useState('3600')
  const [error, setError] = useState(null)
  const [busy, setBusy] = useState(false)
  const submit = async (event) => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      await post('/api/admin/workers/scale', { pool: pool.name, replicas: wholeOf(replicas), seconds: seconds ? Number(seconds) : null })
      toast(`The number of pool ${pool.name} is set to ${replicas.trim()}`)
      onClose()
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  return html`<${Dialog} title="Workers of pool ${pool.name}" onClose=${onClose}><form onSubmit=${submit} noValidate>
    ${error && html`<${ErrorNote} error=${error} fields=${['replicas', 'seconds']} />`}
    <div class="form">
      <${Input} label="Workers" inputmode="numeric" value=${replicas} onInput=${setReplicas} wrong=${error?.of?.('replicas')} hint="by the load it would be ${pool.min} to ${pool.max}" />
      <${Select} label="For" value=${seconds} onInput=${setSeconds} options=${WHILES} wrong=${error?.of?.('seconds')} /></div>
    <p class="soft scale-note">Until then the load does not count. Workers that have to go finish what they have begun.</p>
    <div class="actions"><button type="button" onClick=${onClose}>Leave it</button><button class="primary" disabled=${busy}>Set the number</button></div></form></${Dialog}>`
}

// What is no whole number is for the server to refuse, with its words; nothing at all would mean "by the load again".
const wholeOf = (text) => (/^\s*\d+\s*$/.test(text) ? Number(text) : text.trim() || 'nothing')
