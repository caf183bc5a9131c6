// The courses of two runs, laid over each other from the moment at which each began.

import { Chart } from '../charts.js'
import { html, useMemo } from '../dom.js'
import { count, rate, seconds } from '../format.js'

const CHARTS = [
  ['Orders completed a second', (each) => each.completed / each.seconds, rate],
  ['Acknowledgement of orders, p95', (each) => each.latency.hl7_ack?.p95, seconds],
  ['Order to stored study, p95', (each) => each.latency.order_to_stored?.p95, seconds],
  ['Jobs that wait', (each) => each.queued, count],
]

export function Overlaid({ runs, intervals }) {
  const charts = useMemo(() => CHARTS.map(([title, value, format]) => ({ title, format, ...overlay(intervals, value) })), [intervals])
  return html`<div class="grid compared">${charts.filter((chart) => chart.x.length > 1).map(({ title, format, x, values }) => html`
    <${Chart} key=${title} title=${title} x=${x} format=${format} series=${runs.map((run, index) => ({ name: run.run_key, values: values[index] }))} />`)}</div>`
}

// One axis of moments for both; a run has a gap where only the other one was measured.
function overlay(intervals, value) {
  const told = intervals.map((each) => new Map(each.map((one) => [one.begins + one.seconds, value(one) ?? null])))
  const x = [...new Set(told.flatMap((points) => [...points.keys()]))].sort((one, other) => one - other)
  return { x, values: told.map((points) => x.map((at) => points.get(at) ?? null)) }
}
