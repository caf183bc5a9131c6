// What a run comes to, while it goes on and afterwards.

import { get } from '../api.js'
import { Chart, courseOf } from '../charts.js'
import { html, useEffect, useRef, useState } from '../dom.js'
import { bytes, count, rate, seconds } from '../format.js'
import { isOver, usePoll } from '../live.js'
import { Figures, Loaded, Moment, Pairs, Table } from '../ui.js'

const RUNS = '/api/simulator/runs'

export function Overview({ run, progress }) {
  const over = isOver(run.state)
  const metrics = usePoll(() => get(`${RUNS}/${run.id}/metrics`), 2, !over, [run.id, run.state])
  const detail = usePoll(() => get(`${RUNS}/${run.id}/metrics/detail`), 2, !over, [run.id, run.state])
  return html`<${Stages} run=${run} progress=${progress} />
    <div><${Loaded} ...${metrics}>${(summary) => html`<${Key} run=${run} summary=${summary} progress=${progress} />
      <${Thresholds} thresholds=${summary.thresholds} />`}</${Loaded}></div>
    <div><${Loaded} ...${detail}>${({ intervals, stages }) => html`<${Course} intervals=${intervals} /><${Latency} stages=${stages} />`}</${Loaded}></div>
    <${Facts} run=${run} />`
}

function Stages({ run, progress }) {
  if (!progress) return null
  const done = progress.completed + progress.failed + progress.cancelled
  const rows = [
    ['Emitted', progress.emitted, 'series-1'],
    ['Acknowledged', progress.acknowledged, 'series-1'],
    ['Queued', progress.jobs_queued, 'series-2'],
    ['Running', progress.jobs_running, 'series-2'],
    ['Completed', progress.completed, 'good'],
    ['Failed', progress.failed, 'bad'],
    ['Cancelled', progress.cancelled, 'open'],
  ].filter(([, value]) => value !== null && value !== undefined)
  return html`<div class="card"><div class="head" style="margin-bottom: 10px"><h2 style="margin: 0">Progress</h2><span class="soft">${count(done)} of ${count(progress.requested)} orders have ended</span><${Eta} run=${run} done=${done} of=${progress.requested} /></div>
    <dl class="stages">${rows.map(([name, value, kind]) => html`<dt>${name}</dt>
      <dd><div class="progress ${kind}" role="progressbar" aria-label=${name} aria-valuemin="0" aria-valuemax=${progress.requested} aria-valuenow=${value}><span style="width: ${(100 * value) / Math.max(progress.requested, 1)}%"></span></div></dd>
      <dd class="number">${count(value)}</dd>`)}</dl></div>`
}

// From the speed of the last ten seconds.
function Eta({ run, done, of }) {
  const seen = useRef([])
  const [text, setText] = useState('')
  useEffect(() => {
    const now = Date.now() / 1000
    seen.current = [...seen.current.filter(([at]) => now - at < 10), [now, done]]
    const [[since, before]] = seen.current
    const speed = now - since > 1 ? (done - before) / (now - since) : 0
    setText(speed > 0 && done < of ? `about ${seconds((of - done) / speed)} left` : '')
  }, [done, of])
  return isOver(run.state) || !text ? null : html`<span class="soft">${text}</span>`
}

function Key({ run, summary, progress }) {
  const { orders, rates, dicom, jobs, reconciliation, latency_seconds: latency, load } = summary
  return html`<${Figures} pairs=${[
      ['Orders/s', rate(rates.orders_per_second)],
      ['Images generated', count(dicom.instances_generated)],
      ['Images stored', count(dicom.instances_stored)],
      ['Stored', bytes(dicom.bytes_stored)],
      ['Ack p95', seconds(latency.hl7_ack?.p95)],
      ['Order to stored p95', seconds(latency.order_to_stored?.p95)],
      ['Retries', count(jobs.retried)],
      ['Dead letters', count(jobs.dead_lettered)],
      ['Failed', count(orders.failed)],
      ['Took', seconds(summary.wall_seconds)],
      ...(isOver(run.state) ? [] : [['Workers', count(progress?.active_workers)], ['A job takes', seconds(progress?.mean_processing_seconds)]]),
    ]} />
    ${load && load.limited_by !== 'nothing' && html`<div class="note open"><p><b>${load.limited_by} limited:</b> ${load.reason}</p></div>`}
    ${reconciliation && html`<${Reconciled} found=${reconciliation} />`}`
}

function Reconciled({ found }) {
  const wrong = found.missing + found.duplicated + found.mismatched
  return html`<div class="note ${wrong ? 'bad' : found.unverifiable ? 'open' : 'good'}"><p>
    <b>Reconciled (${found.method}):</b> ${count(found.checked)} of ${count(found.expected)} checked, ${count(found.missing)} missing, ${count(found.duplicated)} duplicated, ${count(found.mismatched)} mismatched${found.unverifiable ? `, ${count(found.unverifiable)} that nobody could check` : ''}</p>
    ${found.notes.map((note) => html`<p>${note}</p>`)}</div>`
}

function Thresholds({ thresholds }) {
  if (!thresholds?.length) return null
  return html`<div class="card"><h2>Thresholds</h2><${Table} label="Thresholds" rows=${[...thresholds].sort((a, b) => a.met - b.met)} columns=${[
    ['Threshold', (row) => html`<code>${row.expression}</code>`],
    ['Value', (row) => (row.value === null ? 'no value' : String(row.value)), true],
    ['Met', (row) => html`<b class=${row.met ? 'good' : 'bad'}>${row.met ? 'met' : 'not met'}</b>`],
  ]} /></div>`
}

function Course({ intervals }) {
  if (intervals.length < 2) return null
  const { x, rates, levels, latency } = courseOf(intervals)
  return html`<div class="grid" style="margin-bottom: 16px">
    <${Chart} title="Orders a second" x=${x} series=${[rates('emitted'), rates('completed')]} format=${rate} />
    <${Chart} title="Jobs" x=${x} series=${[levels('queued'), levels('running')]} format=${count} />
    <${Chart} title="Workers that have jobs" x=${x} series=${[levels('workers')]} format=${count} />
    <${Chart} title="Acknowledgement" x=${x} series=${latency('hl7_ack')} format=${seconds} />
    <${Chart} title="Order to stored study" x=${x} series=${latency('order_to_stored')} format=${seconds} /></div>`
}

function Latency({ stages }) {
  if (!stages.length) return null
  return html`<div class="card"><h2>Latency by stage</h2><${Table} label="Latency by stage" rows=${stages} columns=${[
    ['Stage', (row) => html`<code>${row.stage}</code>`],
    ['Count', (row) => count(row.count), true],
    ...['min', 'p50', 'p95', 'p99', 'max'].map((name) => [name, (row) => seconds(row[name]), true]),
  ]} /></div>`
}

function Facts({ run }) {
  return html`<div class="card"><h2>What was run</h2><${Pairs} pairs=${[
    ['Run', html`<code>${run.id}</code>`],
    ['Template', `${run.template_name}, version ${run.template_version}`],
    ['Seed', String(run.seed)],
    ['Base time', run.base_time],
    ['Made', html`<${Moment} at=${run.created_at} />`],
    ['Begun', html`<${Moment} at=${run.started_at} />`],
    ['Ended', html`<${Moment} at=${run.finished_at} />`],
    ...Object.entries(run.labels).map(([name, value]) => [`Label ${name}`, value]),
  ]} /><details><summary>The template as it was resolved</summary><pre>${JSON.stringify(run.document, null, 2)}</pre></details></div>`
}
