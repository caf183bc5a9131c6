// The tabs of a run.

import { Overview } from './run_overview.js'

export const tabs = [{ path: '', title: 'Overview', component: Overview }]
