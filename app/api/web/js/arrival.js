// Arrival models: what each is made of, how it reads, and the fields to choose one.

import { html, useRef } from './dom.js'
import { number, shown, Typed } from './form.js'
import { count, span } from './format.js'
import { Select } from './ui.js'

const MODELS = {
  closed: { title: 'closed: as fast as acknowledged', parts: [] },
  constant: { title: 'constant rate', parts: ['rate'] },
  ramp: { title: 'ramp', parts: ['rate', 'to', 'over'] },
  burst: { title: 'bursts', parts: ['size', 'every'] },
  poisson: { title: 'Poisson', parts: ['rate'] },
  profile: { title: 'profile of a day', parts: ['hourly', 'speed'] },
}
const PARTS = {
  rate: { label: 'Rate', hint: 'orders a second' },
  to: { label: 'Up to', hint: 'orders a second at its end' },
  over: { label: 'Over', hint: 'e.g. 5m' },
  size: { label: 'Size', hint: 'orders at once' },
  every: { label: 'Every', hint: 'e.g. 30s' },
  speed: { label: 'Speed', hint: '60 plays an hour a minute', placeholder: '1' },
}
export const ARRIVAL_PATHS = ['arrival', 'arrival.duration', 'arrival.hourly', ...Object.keys(PARTS).map((part) => `arrival.${part}`)]

// `keep`, where it is given, is what choosing no model means; `wrong(path)` is what the server says of a path.
export function ArrivalFields({ arrival, change, wrong, keep, duration = false }) {
  const last = useRef({}) // parts of models that were chosen before, should they be chosen again
  if (arrival) Object.assign(last.current, arrival)
  const choose = (model) => change(model ? only({ ...last.current, model }) : null)
  const set = (part) => (value) => {
    const { [part]: _, ...rest } = arrival
    if (value === undefined) delete last.current[part]
    change(value === undefined ? rest : { ...rest, [part]: value })
  }
  const model = arrival ? arrival.model ?? 'closed' : ''
  const options = [...(keep ? [['', keep]] : []), ...Object.entries(MODELS).map(([name, { title }]) => [name, title])]
  const parts = MODELS[model]?.parts ?? []
  return html`<div class="form few">
    <${Select} label="Arrival" value=${model} onInput=${choose} options=${options} wrong=${wrong('arrival')} />
    ${parts.filter((part) => PARTS[part]).map((part) => html`<${Typed} key=${part} ...${PARTS[part]} inputmode="decimal" value=${arrival[part]} change=${set(part)} read=${number} wrong=${wrong(`arrival.${part}`)} />`)}
    ${duration && html`<${Typed} label="For" hint="e.g. 10m; nothing is begun after it" placeholder="until all orders are sent" value=${arrival.duration} change=${set('duration')} read=${number} wrong=${wrong('arrival.duration')} />`}</div>
    ${parts.includes('hourly') && html`<${Hourly} value=${arrival.hourly} change=${set('hourly')} wrong=${wrong('arrival.hourly')} />`}`
}

const only = (arrival) => Object.fromEntries(Object.entries(arrival).filter(([part]) => ['model', 'duration', ...MODELS[arrival.model].parts].includes(part)))

function Hourly({ value, change, wrong }) {
  const read = (typed) => { const found = typed.split(/[\s,;]+/).filter(Boolean).map(number); return found.length ? found : undefined }
  const show = (numbers) => (Array.isArray(numbers) ? numbers.join(' ') : shown(numbers))
  const given = Array.isArray(value) ? value.length : 0
  return html`<div class="hourly"><${Typed} label="Orders of each hour" placeholder="0 0 0 0 0 2 10 40 80 100 90 80 60 70 80 70 50 30 20 10 5 2 0 0" hint="24 numbers, from midnight; ${given} ${given === 1 ? 'is' : 'are'} here" value=${value} change=${change} read=${read} show=${show} wrong=${wrong} />
    ${given > 0 && html`<${Day} hourly=${value} />`}</div>`
}

// A day's hours as bars.
export function Day({ hourly }) {
  const most = Math.max(...hourly.map((each) => Number(each) || 0), 1)
  const busiest = hourly.findIndex((each) => Number(each) === most)
  return html`<div class="day" role="img" aria-label="Orders by the hour${busiest < 0 ? '' : `; the most, ${count(most)}, from ${busiest} o'clock`}">
    ${hourly.slice(0, 24).map((each, hour) => html`<span title="${hour}:00: ${each}" style="height: ${(100 * (Number(each) || 0)) / most}%"></span>`)}</div>`
}

// An arrival model as people say it.
export function sentenceOf(arrival) {
  const { model = 'closed', rate: first, to, over, size, every, hourly, speed, duration } = arrival ?? {}
  const said = {
    closed: () => 'As fast as orders are acknowledged',
    constant: () => `${first} orders a second`,
    ramp: () => `From ${first} to ${to} orders a second over ${span(over)}`,
    burst: () => `${count(size)} orders at once, every ${span(every)}`,
    poisson: () => `${first} orders a second on average, at random (Poisson)`,
    profile: () => `${count(hourly.reduce((sum, each) => sum + each, 0))} orders a day by the hour${speed && speed !== 1 ? `, played ${speed} times as fast` : ''}`,
  }[model]
  return `${said ? said() : model}${duration ? `, for ${span(duration)}` : ''}`
}
