// What was done for an order: its steps, and the jobs that carried them.

import { html } from '../dom.js'
import { seconds } from '../format.js'
import { Badge, Moment, Table } from '../ui.js'

const ended = ({ finished_at: at }) => html`<span class="at"><${Moment} at=${at} /></span>`

export const Steps = ({ steps }) => html`<div class="card"><h2>Steps</h2><${Table} label="Steps" rows=${steps} columns=${[
  ['Step', (step) => html`<code>${step.type}</code>`],
  ['State', (step) => html`<${Badge} word=${step.state} />`],
  ['Starts', (step) => step.starts, true],
  ['Attempt', (step) => step.attempt, true],
  ['Worker', (step) => step.worker || '–'],
  ['Ended', (step) => ended(step)],
  ['Error', (step) => step.error && html`<span class="error">${step.error}</span>`],
]} /></div>`

export const Jobs = ({ jobs }) => html`<div class="card"><h2>Jobs</h2><${Table} label="Jobs" rows=${jobs} empty="No job was queued for it." columns=${[
  ['Queue', (job) => html`<code>${job.queue ?? '–'}</code>`],
  ['Outcome', (job) => (job.outcome ? html`<${Badge} word=${job.outcome} kind=${job.outcome === 'succeeded' ? 'good' : 'open'} />` : '–')],
  ['From step', (job) => job.step_index, true],
  ['Starts', (job) => job.starts, true],
  ['Worker', (job) => job.worker || '–'],
  ['Queued', (job) => html`<span class="at"><${Moment} at=${job.queued_at} /></span>`],
  ['Ended', (job) => ended(job)],
  ['Ran', (job) => seconds(job.seconds), true],
]} /></div>`
