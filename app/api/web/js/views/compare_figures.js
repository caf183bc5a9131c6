// The figures of two runs: those that changed, and whether that is for the better.

import { html, useState } from '../dom.js'
import { bytes, count, rate, seconds } from '../format.js'
import { Select, Table } from '../ui.js'

const TONES = { better: 'good', worse: 'bad' }
const SHOWN = [['changed', 'those that changed'], ['better', 'better'], ['worse', 'worse'], ['all', 'all']]

export function Figures({ figures, names }) {
  const [shown, setShown] = useState('changed')
  const rows = figures.filter((each) => shown === 'all' || (shown === 'changed' ? each.effect !== 'same' : each.effect === shown))
  return html`<div class="card"><h2>Figures</h2>
    <div class="filters"><${Select} label="Show" value=${shown} onInput=${setShown} options=${SHOWN} /></div>
    <${Table} label="Figures" rows=${rows} empty="No figure is like this." columns=${[
      ['Figure', (each) => html`<code>${each.figure}</code>`],
      [names[0], (each) => told(each.figure, each.before), true],
      [names[1], (each) => told(each.figure, each.after), true],
      ['Change', (each) => change(each.change), true],
      ['Effect', (each) => (TONES[each.effect] ? html`<b class=${TONES[each.effect]}>${each.effect}</b>` : each.effect)],
    ]} /></div>`
}

export function Tally({ figures }) {
  const many = (effect) => figures.filter((each) => each.effect === effect).length
  return html`<div class="note"><p>Of ${figures.length} figures, <b class="good">${many('better')} are better</b>, <b class="bad">${many('worse')} worse</b>, ${many('different')} different, and ${many('same')} the same within 5 %.</p></div>`
}

function told(figure, value) {
  if (value === null) return '–'
  if (figure.startsWith('latency_seconds.') || figure.endsWith('_seconds')) return seconds(value)
  if (figure.endsWith('bytes_stored')) return bytes(value)
  if (figure.endsWith('bytes_per_second')) return `${bytes(value)}/s`
  if (figure.startsWith('rates.')) return rate(value)
  return Number.isInteger(value) ? count(value) : rate(value)
}

const change = (share) => (share === null ? '–' : `${share > 0 ? '+' : ''}${(100 * share).toFixed(Math.abs(share) < 0.1 ? 1 : 0)} %`)
