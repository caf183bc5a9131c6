// Live line charts: uPlot on a canvas, redrawn in the colours of the page, with a text for those who do not see it.

import UPlot from '../vendor/uplot.js'
import { html, useEffect, useRef } from './dom.js'
import { seconds } from './format.js'

const HEIGHT = 190
const dark = matchMedia('(prefers-color-scheme: dark)')

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

// `x` and each of `series` ({name, values, stepped?}) are arrays of one length; null is a gap; what is `stepped` holds until
// it changes. `times`: x are moments (Unix seconds).
export function Chart({ title, x, series, format, times = false }) {
  const place = useRef()
  const plot = useRef()
  const data = [x, ...series.map((each) => each.values)]
  const latest = useRef() // for a redrawing long after the first one
  latest.current = { data, series }
  const names = series.map((each) => each.name).join()

  useEffect(() => {
    const draw = () => {
      plot.current?.destroy()
      const now = latest.current
      plot.current = new UPlot(optionsOf(now.series, format, times, place.current.clientWidth || 300), now.data, place.current)
    }
    const fit = new ResizeObserver(() => plot.current?.setSize({ width: place.current.clientWidth, height: HEIGHT }))
    draw()
    fit.observe(place.current)
    dark.addEventListener('change', draw)
    return () => { fit.disconnect(); dark.removeEventListener('change', draw); plot.current.destroy() }
  }, [names, times])
  useEffect(() => { plot.current?.setData(data) }, [x, ...series.map((each) => each.values)])

  const last = series.map((each) => `${each.name} ${format(each.values.findLast((value) => value !== null) ?? null)}`).join(', ')
  return html`<div class="card"><div class="chart-title"><b>${title}</b>
    ${series.length > 1 && series.map((each, index) => html`<span class="key series-${index + 1}">${each.name}</span>`)}</div>
    <div class="chart" ref=${place} role="img" aria-label="${title}: at last ${last}"></div></div>`
}

function optionsOf(series, format, times, width) {
  const axis = { stroke: colour('--soft'), grid: { stroke: colour('--grid'), width: 1 }, ticks: { show: false }, font: '12px system-ui' }
  return {
    width, height: HEIGHT, cursor: { drag: { setScale: false }, points: { size: 6 } }, legend: { show: false },
    scales: { x: { time: times }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
    axes: [
      times ? axis : { ...axis, values: (_, values) => values.map((value) => seconds(value).replace(/\.0+ /, ' ')) },
      { ...axis, size: 64, values: (_, values) => values.map((value) => format(value)) },
    ],
    series: [{}, ...series.map((each, index) => ({
      label: each.name, stroke: () => colour(`--series-${index + 1}`), width: 2, spanGaps: true, points: { show: isAlone },
      paths: each.stepped ? UPlot.paths.stepped({ align: 1 }) : undefined,
    }))],
  }
}

// A value with none beside it makes no line.
const isAlone = (plot, index) => plot.data[index].filter((value) => value !== null).length === 1

// The charts of a run's course, from its intervals.
export function courseOf(intervals) {
  const x = intervals.map((each) => each.begins + each.seconds)
  const rates = (name) => ({ name, values: intervals.map((each) => each[name] / each.seconds) })
  const levels = (name) => ({ name, values: intervals.map((each) => each[name]) })
  const latency = (stage) => ['p50', 'p95', 'p99'].map((name) => ({ name, values: intervals.map((each) => each.latency[stage]?.[name] ?? null) }))
  return { x, rates, levels, latency }
}
