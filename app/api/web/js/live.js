// Live news over Socket.IO, and polling where there is no socket: a proxy that knows no websockets, a server that restarts.
//
// All that is pushed is absolute (counts, not differences), so what is missed while a socket is away does no harm: the
// next push, or the next poll, says how things are.

import { io } from '../vendor/socket.io.js'
import { get, session } from './api.js'
import { useEffect, useState } from './dom.js'

const POLL = 2000 // ms between two looks
const TERMINAL = ['COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELLED']

export const isOver = (state) => TERMINAL.includes(state)

let socket = null
const watched = new Map() // run id -> set of listeners
const others = { workers: new Set(), connection: new Set() }

export function connect() {
  disconnect()
  socket = io(`${location.origin}/simulator`, {
    path: `${location.pathname.replace(/\/[^/]*$/, '')}/socket.io`, auth: { token: session.token }, transports: ['websocket'], forceNew: true,
    reconnectionDelay: 500, reconnectionDelayMax: 4000,
  })
  socket.on('connect', () => {
    tell('connection', 'live')
    for (const id of watched.keys()) subscribe(id)
  })
  socket.on('disconnect', () => tell('connection', 'polling'))
  socket.on('connect_error', () => tell('connection', 'polling'))
  socket.on('workers', (document) => tell('workers', document))
  socket.on('run.progress', (progress) => news(progress.run_id, { progress }))
  socket.on('run.status', (status) => news(status.run_id, { status }))
}

export function disconnect() {
  if (socket) socket.disconnect()
  socket = null
}

export const isLive = () => Boolean(socket && socket.connected)

const tell = (what, document) => others[what].forEach((listener) => listener(document))
const news = (id, document) => (watched.get(id) || []).forEach((listener) => listener(document))

// Again after a while where it was refused, as by a server whose database is away.
function subscribe(id) {
  const asked = socket
  asked.emit('subscribe', { run_id: id }, (answer) => {
    if (!answer.ok) setTimeout(() => asked === socket && watched.has(id) && isLive() && subscribe(id), POLL)
  })
}

// Calls `look` now and then, `seconds()` apart, each only when the last one has ended; the answer stops it.
function every(seconds, look) {
  let gone = false
  let timer = null
  const go = async () => {
    await look()
    if (!gone) timer = setTimeout(go, seconds() * 1000)
  }
  go()
  return () => { gone = true; clearTimeout(timer) }
}

function listen(what, listener) {
  others[what].add(listener)
  return () => others[what].delete(listener)
}

// 'live', or 'polling' while there is no socket.
export function useConnection() {
  const now = () => (isLive() ? 'live' : 'polling')
  const [state, setState] = useState(now())
  useEffect(() => {
    setState(now()) // it may have changed since the view was drawn
    return listen('connection', setState)
  }, [])
  return state
}

function watch(id, listener) {
  if (!watched.has(id)) watched.set(id, new Set())
  watched.get(id).add(listener)
  if (isLive() && watched.get(id).size === 1) subscribe(id)
  return () => {
    watched.get(id).delete(listener)
    if (watched.get(id).size) return
    watched.delete(id)
    if (isLive()) socket.emit('unsubscribe', { run_id: id })
  }
}

// A run by its key or id: {run, progress, error}, as it changes. `progress` is the payload of run.progress.
export function useRun(name) {
  const [found, setFound] = useState({})
  useEffect(() => {
    let gone = false
    let known = null
    let stop = () => {}
    const set = (change) => gone || setFound((before) => ({ ...before, ...change }))
    const look = async () => {
      try {
        const run = await get(`/api/simulator/runs/${encodeURIComponent(name)}`)
        set({ run, error: null })
        return run
      } catch (error) {
        set({ error })
        return null
      }
    }
    const count = async () => set({ progress: progressOf(known, await get(`/api/simulator/runs/${known.id}/metrics`)) })
    const news = ({ progress, status }) => {
      if (progress) set({ progress })
      if (status) again()
    }
    const again = async () => {
      const fresh = await look()
      if (!fresh) return
      const was = known
      known = fresh
      if (!was && !gone) stop = watch(fresh.id, news)
      if (!was || !isOver(was.state) || !isOver(fresh.state)) await count().catch(() => {})
    }
    setFound({})
    const end = every(() => POLL / 1000, async () => { if (!known || !isLive()) await again() })
    return () => { gone = true; end(); stop() }
  }, [name])
  return found
}

// What run.progress would say, from a summary.
function progressOf(run, { orders, jobs, dicom }) {
  const left = Math.max(orders.acknowledged - orders.completed - orders.failed - orders.cancelled, 0)
  return {
    requested: run.requested, ...orders, remaining_queue_depth: left, jobs_queued: left, jobs_running: null,
    active_workers: null, mean_processing_seconds: null, retried: jobs.retried,
    instances_generated: dicom.instances_generated, instances_stored: dicom.instances_stored,
  }
}

// Worker pools and workers, {pools, workers}: pushed, or asked for.
export function useWorkers() {
  const [found, setFound] = useState({})
  useEffect(() => {
    let gone = false
    const look = () => get('/api/admin/workers').then(
      (document) => gone || setFound({ document }), (error) => gone || setFound((before) => ({ ...before, error })),
    )
    const stop = listen('workers', (document) => setFound({ document }))
    const end = every(() => (isLive() ? 10 : 2), look) // beats change more often than they are pushed
    return () => { gone = true; end(); stop() }
  }, [])
  return found
}

// Asks `load()` now and every `seconds` while `on`; {value, error, again}. The last value stays while a later one fails.
export function usePoll(load, seconds, on, inputs) {
  const [found, setFound] = useState({})
  const [round, setRound] = useState(0)
  useEffect(() => {
    let gone = false
    const look = () => load().then(
      (value) => gone || setFound({ value }), (error) => gone || setFound((before) => ({ value: before.value, error })),
    )
    const end = on ? every(() => seconds, look) : (look(), () => {})
    return () => { gone = true; end() }
  }, [...inputs, on, round])
  return { ...found, again: () => setRound((before) => before + 1) }
}
