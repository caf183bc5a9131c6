// A token, kept until the tab is closed.

import { session } from '../api.js'
import { html, useState } from '../dom.js'
import { Input } from '../ui.js'

export function SignIn({ done }) {
  const [token, setToken] = useState('')
  const [wrong, setWrong] = useState(session.token ? 'The server does not know this token (any more).' : '')
  const submit = async (event) => {
    event.preventDefault()
    session.token = token.trim()
    setWrong('')
    const problem = await done()
    if (problem) setWrong(problem.status === 401 ? 'The server does not know this token.' : problem.message)
  }
  return html`<main><form class="card" style="max-width: 440px; margin: 8vh auto 0" onSubmit=${submit}>
    <h1>HL7 Yeeter</h1><p class="soft">This server asks for a token. <code>yeeter tokens create</code>, on its machine, makes one.</p>
    <p><${Input} label="Token" type="password" autocomplete="off" spellcheck="false" required value=${token} onInput=${setToken} wrong=${wrong} /></p>
    <button class="primary">Sign in</button></form></main>`
}
