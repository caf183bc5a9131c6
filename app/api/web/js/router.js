// Views by the address behind the '#': they can be linked to, and the server knows of none of them.

import { useEffect, useState } from './dom.js'

const parse = () => {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?')
  return { parts: path.split('/').filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query || '') }
}

export function useRoute() {
  const [route, setRoute] = useState(parse())
  useEffect(() => {
    let here = location.hash
    const change = () => {
      const wanted = location.hash
      if (guard && wanted !== here) {
        history.replaceState(null, '', here)
        guard(wanted)
        return
      }
      here = wanted
      setRoute(parse())
      scrollTo(0, 0)
    }
    addEventListener('hashchange', change)
    setRoute(parse()) // it may have changed since this was first drawn
    return () => removeEventListener('hashchange', change)
  }, [])
  return route
}

export const to = (...parts) => `#/${parts.map((part) => encodeURIComponent(part)).join('/')}`
export const go = (...parts) => { location.hash = to(...parts) }

let guard = null
// While `on`, an address of the dashboard is not gone to: `ask(address)` is told instead. `leave` goes there for good.
export function useGuard(on, ask) {
  useEffect(() => {
    guard = on ? ask : null
    return () => { guard = null }
  }, [on])
  useEffect(() => {
    if (!on) return undefined
    const stay = (event) => event.preventDefault() // the browser asks by itself when the page is closed or loaded anew
    addEventListener('beforeunload', stay)
    return () => removeEventListener('beforeunload', stay)
  }, [on])
}
export const leave = (address) => { guard = null; location.hash = address }

// Keeps filters in the address, so that a view can be linked to and come back to.
export function setQuery(values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== '' && value !== null && value !== undefined)
  const path = location.hash.split('?')[0] || '#/'
  history.replaceState(null, '', pairs.length ? `${path}?${new URLSearchParams(pairs)}` : path)
}
