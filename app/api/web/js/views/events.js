// The events of a run: read on from its beginning, and as they come while it goes on.

import { get } from '../api.js'
import { html, useEffect, useRef, useState } from '../dom.js'
import { count } from '../format.js'
import { isOver } from '../live.js'
import { ErrorNote, Select } from '../ui.js'
import { EventTable } from './event_table.js'

const PAGE = 500
const FEW = 5000 // orders
const KEPT = 1000 // in the page; those before are left out
const PAUSE = 2000 // ms between looks, once all that is there was read

export function Events({ run }) {
  const goesOn = !isOver(run.state)
  const isShort = run.requested <= FEW // of a longer one, reading on to the present takes a while
  const [follow, setFollow] = useState(goesOn && isShort)
  const [isNewestFirst, setNewestFirst] = useState(goesOn && isShort)
  const [kind, setKind] = useState('')
  const { events, dropped, isAtEnd, error, more, again } = useEvents(run, follow)
  const kinds = [...new Set([...events.map((event) => event.kind), ...(kind ? [kind] : [])])].sort()
  const shown = events.filter((event) => !kind || event.kind === kind)
  const next = !isAtEnd && !follow && events.length > 0 && html`<p><button onClick=${more}>Load more</button></p>`
  return html`<div class="filters">
      <${Select} label="Event" value=${kind} onInput=${setKind} options=${[['', 'any'], ...kinds.map((each) => [each, each])]} />
      <${Select} label="First" value=${isNewestFirst ? 'new' : 'old'} onInput=${(value) => setNewestFirst(value === 'new')} options=${[['old', 'the oldest'], ['new', 'the newest']]} />
      ${(goesOn || !isAtEnd || dropped > 0) && html`<label class="check"><input type="checkbox" checked=${follow} onChange=${(event) => setFollow(event.target.checked)} /> Read on to the end${goesOn ? ', and follow' : ''}</label>`}</div>
    ${error && html`<${ErrorNote} error=${error} />`}
    <p class="soft" role="status">${kind ? `${count(shown.length)} of the ` : ''}${count(events.length)} events${isAtEnd ? '' : ' so far'}${dropped > 0 ? `, and ${count(dropped)} before these that are not shown any more` : ''}</p>
    ${dropped > 0 && html`<p class="soft">All of them: <code>yeeter events ${run.run_key}</code> <button class="plain" onClick=${() => { setFollow(false); again() }}>From the beginning</button></p>`}
    ${isNewestFirst && next}
    <div class="card"><${EventTable} label="Events" run=${run} events=${isNewestFirst ? shown.toReversed() : shown} empty=${events.length ? 'None of these events is of this kind.' : 'No event yet.'} /></div>
    ${!isNewestFirst && next}`
}

// A page, and more pages when asked; with `follow` all that there are, and those that come.
function useEvents(run, follow) {
  const [found, setFound] = useState({ events: [], dropped: 0, isAtEnd: false })
  const cursor = useRef(undefined)
  const reading = useRef(null)

  const read = async () => {
    try {
      const page = await get(`/api/simulator/runs/${run.id}/events`, { after: cursor.current, limit: PAGE })
      cursor.current = page.next_cursor
      setFound((before) => joined(before, page.items))
      return page.items.length === PAGE
    } catch (error) {
      setFound((before) => ({ ...before, error }))
      return false
    }
  }
  // One request after the other, or events would come twice.
  const more = () => { reading.current = (reading.current || Promise.resolve()).then(read); return reading.current }
  const again = () => { cursor.current = undefined; setFound({ events: [], dropped: 0, isAtEnd: false }); more() }

  useEffect(() => { more() }, [])
  useEffect(() => {
    if (!follow) return undefined
    let timer = null
    let gone = false
    const go = async () => {
      const isMore = await more()
      if (!gone && (isMore || !isOver(run.state))) timer = setTimeout(go, isMore ? 0 : PAUSE)
    }
    go()
    return () => { gone = true; clearTimeout(timer) }
  }, [follow, run.state])
  return { ...found, more, again }
}

function joined(before, items) {
  const events = [...before.events, ...items]
  const cut = Math.max(events.length - KEPT, 0)
  return { events: events.slice(cut), dropped: before.dropped + cut, isAtEnd: items.length < PAGE }
}
