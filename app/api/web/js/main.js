// The dashboard's shell: who is signed in, which view is shown.

import { get, session } from './api.js'
import { html, render, useEffect, useState } from './dom.js'
import { connect, disconnect, useConnection } from './live.js'
import { to, useRoute } from './router.js'
import { Badge, ErrorNote, Toasts } from './ui.js'
import { views } from './views.js'
import { SignIn } from './views/signin.js'

const RANK = { viewer: 0, operator: 1, admin: 2 }

function App() {
  const [me, setMe] = useState(null)
  const [error, setError] = useState(null)
  const [wanted, setWanted] = useState(false)
  const look = () => get('/api/access').then(
    (found) => { setMe(found); setError(null); setWanted(false); connect() },
    (problem) => { problem.status === 401 ? setWanted(true) : setError(problem); return problem },
  )
  useEffect(() => {
    session.whenRefused = () => { disconnect(); setMe(null); setWanted(true) }
    look()
  }, [])
  useEffect(() => {
    if (!error) return undefined
    const timer = setTimeout(look, 2000)
    return () => clearTimeout(timer)
  }, [error])
  const leave = () => { session.token = null; disconnect(); setMe(null); setWanted(true) }
  if (wanted) return html`<${SignIn} done=${look} />`
  if (!me) return html`<main>${error ? html`<${ErrorNote} error=${error} />` : html`<p class="soft" role="status">Loading …</p>`}</main>`
  return html`<${Shell} me=${me} leave=${session.token ? leave : null} />`
}

function Shell({ me, leave }) {
  const { parts, query } = useRoute()
  const view = views.find((each) => each.path === (parts[0] || 'runs')) || views[0]
  useEffect(() => { document.title = `${view.title} · HL7 Yeeter` }, [view])
  const may = (role) => RANK[me.role] >= RANK[role]
  return html`<header class="bar">
      <a class="name" href="#/runs"><img src="web/icon.svg" alt="" />HL7 Yeeter</a>
      <nav aria-label="Views">${views.filter((each) => !each.role || may(each.role)).map((each) => html`<a href=${to(each.path)} aria-current=${each === view ? 'page' : undefined}>${each.title}</a>`)}</nav>
      <div class="who"><${Connection} />${leave && html`<span>${me.name} (${me.role})</span><button class="plain" onClick=${leave}>Sign out</button>`}</div>
    </header>
    <main><${view.component} key=${view.path} parts=${parts.slice(1)} query=${query} may=${may} /></main>
    <${Toasts} />`
}

function Connection() {
  const state = useConnection()
  const told = state === 'live' ? 'News come as they happen' : 'No socket: asked for every two seconds'
  return html`<span title=${told}><${Badge} word=${state} kind=${state === 'live' ? 'good' : 'open'} /></span>`
}

render(html`<${App} />`, document.getElementById('app'))
