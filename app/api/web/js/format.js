// Figures and moments as people read them.

const local = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

export const count = (value) => (value === null || value === undefined ? '–' : value.toLocaleString('en'))

export function rate(value) {
  if (value === null || value === undefined) return '–'
  return value >= 100 ? count(Math.round(value)) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export function seconds(value) {
  if (value === null || value === undefined) return '–'
  if (value === 0) return '0 s'
  if (value < 0.001) return `${Math.round(value * 1e6)} µs`
  if (value < 1) return `${digits(value * 1000)} ms`
  if (value < 100) return `${digits(value)} s`
  const whole = Math.round(value)
  const minutes = Math.floor(whole / 60)
  if (minutes < 100) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

// A time that somebody has set, without digits that nobody has.
export const span = (value) => seconds(value).replace(/\.0+ /, ' ').replace(' h 0 min', ' h').replace(/^60 min$/, '1 h')

export function bytes(value) {
  if (value === null || value === undefined) return '–'
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1 }
  return `${unit ? digits(value) : value} ${units[unit]}`
}

const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))

// In the reader's own zone; `exact` is for hovering.
export const moment = (iso) => (iso ? local.format(new Date(iso)) : '–')
export const exact = (iso) => (iso ? new Date(iso).toISOString() : '')

export function ago(iso) {
  const passed = (Date.now() - new Date(iso)) / 1000
  if (passed < 5) return 'now'
  if (passed < 90) return `${Math.round(passed)} s ago`
  if (passed < 5400) return `${Math.round(passed / 60)} min ago`
  return passed < 129_600 ? `${Math.round(passed / 3600)} h ago` : `${Math.round(passed / 86_400)} days ago`
}

const TONES = {
  pass: 'good', fail: 'bad', inconclusive: 'open', COMPLETED: 'good', COMPLETED_WITH_ERRORS: 'open', FAILED: 'bad',
  CANCELLED: 'open', RUNNING: 'live', WAITING_ON_WORKERS: 'live', RECONCILING: 'live', PAUSED: 'open', CANCELLING: 'open',
  SUCCEEDED: 'good', PARKED: 'open', OPEN: 'bad', CLOSED: 'good', SENDING: 'live', WAITING: 'live', READY: 'live',
}
export const tone = (word) => TONES[word] || ''
export const words = (name) => name.toLowerCase().replaceAll('_', ' ')
