// The tabs of a run.

import { Events } from './events.js'
import { Findings } from './findings.js'
import { Orders } from './orders.js'
import { Overview } from './run_overview.js'

export const tabs = [
  { path: '', title: 'Overview', component: Overview },
  { path: 'orders', title: 'Orders', component: Orders },
  { path: 'events', title: 'Events', component: Events },
  { path: 'findings', title: 'Findings', component: Findings },
]
