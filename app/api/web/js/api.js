// The REST API: every error is a Problem, as the server's problem documents say it (RFC 9457).

const TOKEN = 'yeeter-token'

export class Problem extends Error {
  constructor(document, status) {
    super(document.detail || document.title || `the server answered ${status}`)
    this.status = status
    this.problems = document.problems || [] // {field, problem, cure}
  }

  // What is wrong with one field, or with one inside it.
  of(field) {
    return this.problems.filter((each) => each.field === field || each.field.startsWith(`${field}.`)).map(told).join('; ')
  }

  // What is wrong beside these fields, each with its name.
  beside(fields) {
    const others = this.problems.filter((each) => !fields.some((field) => each.field === field || each.field.startsWith(`${field}.`)))
    if (!this.problems.length) return [this.message]
    return others.map((each) => (each.field ? `${each.field}: ${told(each)}` : told(each)))
  }
}

const told = ({ problem, cure }) => (cure ? `${problem} (${cure})` : problem)

export const session = {
  get token() { return sessionStorage.getItem(TOKEN) },
  set token(token) { token ? sessionStorage.setItem(TOKEN, token) : sessionStorage.removeItem(TOKEN) },
  whenRefused: () => {},
}

export const newKey = () => (crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`)

// A POST that is sent again under its idempotency key, after a lost answer, happens once.
export async function ask(method, path, { body, query, text = false, blob = false, key = method === 'POST' ? newKey() : null } = {}) {
  const headers = {}
  if (session.token) headers.Authorization = `Bearer ${session.token}`
  if (body !== undefined) headers['Content-Type'] = typeof body === 'string' ? 'application/yaml' : 'application/json'
  if (key) headers['Idempotency-Key'] = key
  let response
  try {
    response = await fetch(path.replace(/^\//, '') + queryOf(query), {
      method, headers, body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    })
  } catch {
    throw new Problem({ detail: 'The server can\'t be reached. Is `yeeter serve` up?' }, 0)
  }
  if (response.status === 401) session.whenRefused()
  if (!response.ok) throw new Problem(await response.json().catch(() => ({})), response.status)
  if (response.status === 204) return null
  if (blob) return response.blob()
  return text ? response.text() : response.json()
}

export const get = (path, query) => ask('GET', path, { query })
export const getBlob = (path) => ask('GET', path, { blob: true }) // a picture: <img> can't carry a token
export const post = (path, body, key) => ask('POST', path, { body: body ?? {}, key })

// A file of the server, saved by the browser: links can't carry a token.
export async function save(path, name, query) {
  const text = await ask('GET', path, { query, text: true })
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text]))
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

// A page of the server in a tab of its own.
export async function openPage(path, query) {
  const tab = window.open('', '_blank')
  const page = await ask('GET', path, { query, text: true }).catch((error) => { tab.close(); throw error })
  tab.location = URL.createObjectURL(new Blob([page], { type: 'text/html' }))
}

const queryOf = (query) => {
  const pairs = Object.entries(query || {}).filter(([, value]) => value !== undefined && value !== null && value !== '')
  return pairs.length ? `?${new URLSearchParams(pairs)}` : ''
}
