// What the main thread of a page was busy with: a Chromium trace, summarised.
//
// A task is what the thread does without coming back to its event loop; nothing is painted and no key is heard before it ends. `cpuMs` is the
// time that the thread itself ran: other processes of a loaded machine do not count.

const categories = ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline', 'v8'];

/** Runs the work under a trace, and returns the tasks of the page's main thread, the longest first. */
export async function traced(page, work) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories });
  let result;
  let buffer;
  try {
    result = await work();
  } finally {
    buffer = await browser.stopTracing();
  }
  return { result, tasks: tasksOf(JSON.parse(buffer.toString()).traceEvents, page.url()) };
}

function tasksOf(events, url) {
  const process = processOf(events, url);
  const main = events.find((event) => event.name === 'thread_name' && event.pid === process && event.args.name === 'CrRendererMain');
  const own = events.filter((event) => event.pid === process && event.tid === main.tid && event.ph === 'X' && event.dur > 0);
  const tasks = own.filter((event) => event.name === 'ThreadControllerImpl::RunTask');
  return tasks
    .map((task) => ({ wallMs: task.dur / 1000, cpuMs: (task.tdur ?? task.dur) / 1000, start: task.ts, end: task.ts + task.dur }))
    .sort((a, b) => b.cpuMs - a.cpuMs)
    .map((task, index) => ({ ...task, inside: index < 5 ? inside(own, task) : '' }));
}

/** The process that runs the page. */
function processOf(events, url) {
  const frames = events.filter((event) => event.name === 'TracingStartedInBrowser' || event.name === 'FrameCommittedInBrowser');
  const known = frames.flatMap((event) => event.args.data.frames ?? [event.args.data]);
  return known.find((frame) => frame.url === url && frame.processId !== undefined).processId;
}

/** What a task did, by the names of its longest events. */
function inside(events, { start, end }) {
  const sums = new Map();
  for (const event of events) {
    if (event.ts < start || event.ts + event.dur > end || event.name.includes('RunTask')) continue;
    const name = event.name === 'FunctionCall' ? `FunctionCall ${event.args.data?.functionName || '(anonymous)'}` : event.name;
    sums.set(name, (sums.get(name) ?? 0) + event.dur / 1000);
  }
  const longest = [...sums].sort((a, b) => b[1] - a[1]).slice(0, 6);
  return longest.map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(', ');
}

/** The summary that is printed and kept in docs/worker.md. */
export function summary(tasks) {
  const over = (limit) => tasks.filter((task) => task.cpuMs > limit).length;
  const total = tasks.reduce((sum, task) => sum + task.cpuMs, 0);
  const longestWallMs = Math.round(Math.max(0, ...tasks.map((task) => task.wallMs)));
  return { tasks: tasks.length, busyMs: Math.round(total), over4: over(4), over16: over(16), over50: over(50), longestMs: Number((tasks[0]?.cpuMs ?? 0).toFixed(1)), longestWallMs };
}
