// Views by the address behind the '#': they can be linked to, and the server knows of none of them.

import { useEffect, useState } from './dom.js'

const parse = () => {
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?')
  return { parts: path.split('/').filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query || '') }
}

export function useRoute() {
  const [route, setRoute] = useState(parse())
  useEffect(() => {
    const change = () => { setRoute(parse()); scrollTo(0, 0) }
    addEventListener('hashchange', change)
    setRoute(parse()) // it may have changed since this was first drawn
    return () => removeEventListener('hashchange', change)
  }, [])
  return route
}

export const to = (...parts) => `#/${parts.map((part) => encodeURIComponent(part)).join('/')}`
export const go = (...parts) => { location.hash = to(...parts) }

// Keeps filters in the address, so that a view can be linked to and come back to.
export function setQuery(values) {
  const pairs = Object.entries(values).filter(([, value]) => value !== '' && value !== null && value !== undefined)
  const path = location.hash.split('?')[0] || '#/'
  history.replaceState(null, '', pairs.length ? `${path}?${new URLSearchParams(pairs)}` : path)
}
