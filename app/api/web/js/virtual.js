// A grid of any length: only the rows in sight are in the page.
//
// Each row has one link, which leads to what the row is about. One of them is in the order of the Tab key; the arrow
// and page keys, Home and End go from there.

import { html, useEffect, useLayoutEffect, useRef, useState } from './dom.js'

const ROW = 38 // px, as in the style sheet
const AROUND = 8 // rows that are drawn beyond either edge, so that scrolling finds them there
const TALLEST = 15_000_000 // px: browsers draw nothing far below; longer lists scroll by more than one row a row's height

// Columns are {title, cell(place, row), width, isNumber, isMinor (left out on narrow screens)}; the first is the link's.
export function VirtualGrid({ label, columns, count, isWhole, rowAt, link, begin = 0, onSight }) {
  const grid = useRef()
  const [top, setTop] = useState(0) // px that are scrolled away
  const [room, setRoom] = useState(ROW * 15) // px for rows
  const [active, setActive] = useState(begin)
  const isToFocus = useRef(false)

  const whole = count * ROW
  const height = Math.min(whole, TALLEST)
  const stretch = height > room ? (whole - room) / (height - room) : 1
  const above = top * stretch // px of rows that are above the edge
  const first = Math.min(Math.floor(above / ROW), Math.max(count - 1, 0))
  const last = Math.min(Math.ceil((above + room) / ROW), count) - 1
  const inView = Math.max(Math.floor(room / ROW), 1)

  const scrollTo = (pixels) => {
    const wanted = Math.max(Math.min(pixels, whole - room), 0) / stretch
    grid.current.scrollTop = wanted
    setTop(wanted)
  }
  useLayoutEffect(() => {
    const measure = () => setRoom(Math.max(grid.current.clientHeight - ROW, ROW)) // below the headings
    const resized = new ResizeObserver(measure)
    measure()
    resized.observe(grid.current)
    if (begin) scrollTo(begin * ROW)
    return () => resized.disconnect()
  }, [])
  useLayoutEffect(() => {
    if (!isToFocus.current) return
    isToFocus.current = false
    grid.current.querySelector(`[data-place="${active}"]`)?.focus({ preventScroll: true })
  })
  useEffect(() => { onSight(first, Math.max(last, first)) }, [first, last, onSight])

  const onKeyDown = (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: inView - 1, PageUp: 1 - inView, Home: -count, End: count }
    if (!(event.key in steps) || event.altKey || event.metaKey) return
    event.preventDefault()
    const place = Math.max(Math.min(stop + steps[event.key], count - 1), 0)
    isToFocus.current = true
    setActive(place)
    if (place * ROW < above) scrollTo(place * ROW)
    else if ((place + 1) * ROW > above + room) scrollTo((place + 1) * ROW - room)
  }

  const stop = Math.max(Math.min(active, last), first) // where the Tab key leads
  const places = []
  for (let place = Math.max(first - AROUND, 0); place <= Math.min(last + AROUND, count - 1); place += 1) places.push(place)
  const cellKind = ({ isNumber, isMinor }) => `${isNumber ? 'number ' : ''}${isMinor ? 'minor' : ''}`
  return html`<div class="virtual" role="grid" aria-label=${label} aria-rowcount=${isWhole ? count + 1 : -1} aria-readonly="true" ref=${grid}
      style=${`--columns: ${widths(columns)}; --few: ${widths(columns.filter((each) => !each.isMinor))}`}
      onScroll=${(event) => setTop(event.currentTarget.scrollTop)} onKeyDown=${onKeyDown}>
    <div role="rowgroup" class="virtual-head"><div role="row" aria-rowindex="1">${columns.map((each) => html`<span role="columnheader" class=${cellKind(each)}>${each.title}</span>`)}</div></div>
    <div role="rowgroup" class="virtual-body" style=${`height: ${height}px`}>${places.map((place) => {
      const row = rowAt(place)
      return html`<div key=${place} role="row" aria-rowindex=${place + 2} style=${`transform: translateY(${top + place * ROW - above}px)`}>${columns.map((each, index) => {
        const content = each.cell(place, row)
        if (index) return html`<span role="gridcell" class=${cellKind(each)}>${content}</span>`
        return html`<span role="rowheader" class=${cellKind(each)}><a href=${link(place, row)} data-place=${place} tabindex=${place === stop ? 0 : -1} onFocus=${() => setActive(place)}>${content}</a></span>`
      })}</div>`
    })}</div></div>`
}

const widths = (columns) => columns.map((each) => each.width).join(' ')
