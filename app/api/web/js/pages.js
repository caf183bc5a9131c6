// A list in pages, the newest first; whichever page is shown is asked for again and again.

import { get } from './api.js'
import { html, useEffect, useState } from './dom.js'
import { usePoll } from './live.js'

// {value, error, again, pager}: `value` is one page of `path`, `pager` what `Pager` turns it with.
export function usePages(path, query, { limit = 50, seconds = 3 } = {}) {
  const [cursors, setCursors] = useState([]) // where each page behind the newest begins, up to the one that is shown
  const wanted = JSON.stringify(query)
  useEffect(() => setCursors([]), [path, wanted])
  const after = cursors.at(-1)
  const found = usePoll(() => get(path, { ...query, after, limit }), seconds, true, [path, wanted, after])
  const next = found.value?.next_cursor
  return {
    ...found,
    pager: {
      newer: after && (() => setCursors(cursors.slice(0, -1))),
      older: next && (() => setCursors([...cursors, next])),
    },
  }
}

export function Pager({ label, newer, older }) {
  if (!newer && !older) return null
  return html`<nav class="pager" aria-label="Pages of ${label}">
    <button disabled=${!newer} onClick=${newer}>Newer</button><button disabled=${!older} onClick=${older}>Older</button></nav>`
}
