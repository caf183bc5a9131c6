// How deep queues are, since the page was opened: nobody else keeps it.

import { Chart } from '../charts.js'
import { html, useEffect, useState } from '../dom.js'
import { count } from '../format.js'

const KEPT = 450 // looks: a quarter of an hour
const LINES = 4 // as many as there are colours
const FEW = 4 // looks that make no line yet

export function Depths({ queues, at }) {
  const [looks, setLooks] = useState([])
  useEffect(() => {
    const depths = Object.fromEntries(queues.map((queue) => [queue.name, queue.ready]))
    setLooks((before) => [...before.slice(1 - KEPT), { at, depths }])
  }, [at])
  const lines = deepest(looks)
  if (!lines.length || looks.length < FEW) return null
  return html`<${Chart} title="Messages that wait, since this page was opened" times=${true} x=${looks.map((look) => look.at)} format=${count}
    series=${lines.map((name) => ({ name, values: looks.map((look) => look.depths[name] ?? null) }))} />`
}

// The queues that were deepest, by name, so that a line keeps its colour; the first of all where nothing waits.
function deepest(looks) {
  const most = {}
  for (const { depths } of looks) {
    for (const [name, depth] of Object.entries(depths)) if (depth !== null) most[name] = Math.max(most[name] || 0, depth)
  }
  return Object.keys(most).sort((one, other) => most[other] - most[one]).slice(0, LINES).sort()
}
