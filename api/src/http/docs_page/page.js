'use strict'
// Reads the OpenAPI document and shows it. Text is only ever put in as text, never as markup.
const byId = id => document.getElementById(id)
let doc

function el(tag, attributes, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value)
  }
  element.append(...children.flat().filter(child => child !== undefined && child !== null))
  return element
}

const resolve = part => part && part.$ref && Object.keys(part).length === 1
  ? part.$ref.slice(2).split('/').reduce((at, key) => at[key.replace(/~1/g, '/').replace(/~0/g, '~')], doc) : part
const nameOf = part => part && part.$ref ? part.$ref.split('/').pop() : undefined

// As much of Markdown as the document uses: paragraphs, lists, code, bold, links within the API.
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/).filter(Boolean).map(part => {
    if (part.startsWith('`')) return el('code', {}, part.slice(1, -1))
    if (part.startsWith('**')) return el('b', {}, part.slice(2, -2))
    const link = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part)
    return link ? el('span', {}, ...inline(link[1])) : part
  })
}
function prose(text) {
  return (text || '').split(/\n\n+/).filter(Boolean).map(block => {
    const items = block.split('\n').filter(line => line.startsWith('- '))
    if (!items.length) return el('p', {}, inline(block))
    const before = block.split('\n').filter(line => !line.startsWith('- ')).join(' ')
    return el('div', {}, before && el('p', {}, inline(before)), el('ul', {}, items.map(item => el('li', {}, inline(item.slice(2))))))
  })
}

function typeOf(schema) {
  if (!schema) return 'anything'
  if (schema.$ref && !schema.properties) return nameOf(schema)
  if ('const' in schema) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map(value => JSON.stringify(value)).join(' | ')
  const either = schema.oneOf || schema.anyOf
  if (either && either.some(one => one.$ref || one.type)) return either.map(typeOf).join(' | ')
  if (schema.type === 'array') return 'list of ' + typeOf(schema.items)
  const types = [].concat(schema.type || 'anything').join(' | ')
  return schema.format ? `${types} (${schema.format})` : types
}
function limits(schema) {
  const told = []
  for (const [key, words] of [['minimum', 'from'], ['maximum', 'to'], ['minLength', 'at least'], ['maxLength', 'at most'],
    ['maxItems', 'at most'], ['maxProperties', 'at most'], ['default', 'default'], ['pattern', 'like']]) {
    if (schema && key in schema) told.push(`${words} ${schema[key]}${/Length/.test(key) ? ' characters' : ''}`)
  }
  return told.length ? el('small', {}, ' ' + told.join(', ')) : undefined
}
// A schema as a tree; what is named opens in place.
function fields(schema, open, seen = []) {
  const named = nameOf(schema)
  const target = schema && schema.$ref ? resolve({ $ref: schema.$ref }) : schema || {}
  if (named && seen.includes(named)) return undefined
  const below = named ? [...seen, named] : seen
  const either = target.oneOf || target.anyOf
  if (!target.properties && either) return el('div', {}, either.map(one => fields(one, open, below)))
  if (target.items) return fields(target.items, open, below)
  if (!target.properties) return undefined
  const list = el('ul', { class: 'fields' }, Object.entries(target.properties).map(([name, field]) => {
    const inner = fields(field, false, below)
    const required = (target.required || []).includes(name)
    return el('li', {}, el('code', {}, name), required ? '' : el('small', {}, '?'), ' ', el('span', { class: 'dim' }, typeOf(field)),
      limits(field), field.description ? [' ', ...inline(field.description)] : '', inner)
  }))
  return el('details', { open }, el('summary', {}, named || 'fields'), list)
}

const pretty = value => typeof value === 'string' ? value : JSON.stringify(value, null, 2)
function examples(media) {
  return Object.entries((media && media.examples) || {}).map(([name, example]) =>
    el('details', {}, el('summary', {}, 'example: ', name), el('pre', {}, pretty(resolve(example).value))))
}
const firstExample = media => Object.values((media && media.examples) || {})[0]

function parametersOf(item, operation) {
  return [...(operation.parameters || []), ...(item.parameters || [])].map(resolve)
}
const base = () => new URL('.', location.href).href.replace(/\/$/, '')
const quote = text => `'${text.replace(/'/g, `'\\''`)}'`

function request(method, path, parameters, value, body, type) {
  const query = new URLSearchParams()
  const headers = {}
  for (const parameter of parameters) {
    const given = value(parameter)
    if (parameter.in === 'path') path = path.replace(`{${parameter.name}}`, given ? encodeURIComponent(given) : `{${parameter.name}}`)
    else if (given && parameter.in === 'query') query.append(parameter.name, given)
    else if (given && parameter.in === 'header') headers[parameter.name] = given
  }
  if (body) headers['Content-Type'] = type
  const key = byId('key').value
  if (key) headers.Authorization = 'Bearer ' + key
  const search = query.toString()
  return { method, url: base() + path + (search ? '?' + search : ''), headers, body: body || undefined }
}
function curl({ method, url, headers, body }) {
  const shown = name => name === 'Authorization' ? 'Bearer $RAINCHECK_KEY' : headers[name]
  const parts = ['curl -i', method === 'GET' ? '' : `-X ${method}`,
    ...Object.keys(headers).map(name => name === 'Authorization' ? `-H "${name}: ${shown(name)}"` : `-H ${quote(`${name}: ${shown(name)}`)}`),
    body ? `--data-binary ${quote(body)}` : '', quote(url)]
  return parts.filter(Boolean).join(' ')
}

function tryIt(path, method, operation, parameters) {
  const content = operation.requestBody ? Object.entries(resolve(operation.requestBody).content)[0] : undefined
  const example = content && firstExample(content[1])
  const inputs = new Map(parameters.map(p => [p, el('input', { 'aria-label': p.name, placeholder: p.required ? 'required' : '' })]))
  const area = content && el('textarea', { 'aria-label': 'body', spellcheck: 'false' })
  if (area && example) area.value = pretty(resolve(example).value)
  const line = el('pre', {})
  const shown = el('div', { 'aria-live': 'polite' })
  const type = content && content[0] !== '*/*' ? content[0] : 'application/json'
  const now = () => request(method, path, parameters, p => inputs.get(p).value, area && area.value, type)
  const redraw = () => { line.textContent = curl(now()) }
  const send = async event => {
    event.preventDefault()
    shown.replaceChildren(el('p', {}, 'waiting …'))
    const { url, ...options } = now()
    try {
      const answer = await fetch(url, { ...options, redirect: 'manual', cache: 'no-store' })
      let text = ''
      if ((answer.headers.get('content-type') || '').startsWith('text/event-stream')) {
        for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
          text += part
          shown.replaceChildren(el('pre', {}, text))
        }
      } else text = (await answer.text()).slice(0, 200000)
      try { text = JSON.stringify(JSON.parse(text), null, 2) } catch { /* not JSON: as it is */ }
      const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n')
      shown.replaceChildren(el('p', {}, el('b', {}, `${answer.status} ${answer.statusText}`)), el('pre', {}, `${headers}\n\n${text}`))
    } catch (error) { shown.replaceChildren(el('p', {}, String(error))) }
  }
  redraw()
  return [el('h4', {}, 'curl'), line, el('details', {}, el('summary', {}, 'Try it'), el('form', { onsubmit: send, oninput: redraw },
    el('table', {}, parameters.map(p => el('tr', {}, el('td', {}, el('code', {}, p.name), ' ', el('small', {}, p.in)), el('td', {}, inputs.get(p))))),
    area && el('p', {}, area), el('p', {}, el('button', {}, 'Send')), shown))]
}

function answers(operation) {
  return Object.entries(operation.responses).map(([status, one]) => {
    const answer = resolve(one)
    const headers = Object.entries(answer.headers || {}).filter(([name]) => !/^(Access-Control|X-Content|Vary|X-Request)/.test(name))
    const codes = answer.description.startsWith('- ') && [...answer.description.matchAll(/^- \[(`[^`]+`)\]/gm)].map(match => match[1]).join(' ')
    return el('details', {}, el('summary', {}, el('b', {}, status), ' ', ...inline(codes || answer.description)),
      codes ? prose(answer.description) : '',
      headers.length ? el('table', {}, headers.map(([name, header]) => el('tr', {}, el('td', {}, el('code', {}, name), resolve(header).required ? '' : el('small', {}, '?')), el('td', {}, inline(resolve(header).description || ''))))) : '',
      Object.entries(answer.content || {}).map(([type, media]) => el('div', {}, el('p', {}, el('code', {}, type), ' ', el('span', { class: 'dim' }, typeOf(media.schema))), fields(media.schema, false), examples(media))),
      Object.keys(answer.links || {}).length ? el('p', {}, 'leads to ', Object.keys(answer.links).map(id => [el('a', { href: '#' + id }, id), ' '])) : '')
  })
}

function operation(path, method, item, op) {
  const parameters = parametersOf(item, op)
  const body = op.requestBody && resolve(op.requestBody)
  return el('section', { id: op.operationId, 'data-words': `${method} ${path} ${op.summary}`.toLowerCase() },
    el('h3', {}, el('span', { class: `method ${method}` }, method.toUpperCase()), ' ', el('span', { class: 'path' }, path), ' ', el('small', {}, op.summary)),
    prose(op.description),
    parameters.length ? el('table', {}, el('tr', {}, el('th', {}, 'parameter'), el('th', {}, 'what it is')), parameters.map(p => el('tr', {},
      el('td', {}, el('code', {}, p.name), p.required ? '' : el('small', {}, '?'), el('br'), el('small', {}, p.in)),
      el('td', {}, el('p', {}, inline(p.description || '')), el('span', { class: 'dim' }, typeOf(p.schema)), limits(p.schema))))) : '',
    body ? [el('h4', {}, 'Body'), Object.entries(body.content).map(([type, media]) => el('div', {}, el('p', {}, el('code', {}, type), ' ', el('span', { class: 'dim' }, typeOf(media.schema))), fields(media.schema, false), examples(media)))] : '',
    el('h4', {}, 'Answers'), answers(op), path.startsWith('{') ? '' : tryIt(path, method.toUpperCase(), op, parameters))
}

function show() {
  byId('version').textContent = doc.info.version
  const all = Object.entries(doc.paths).flatMap(([path, item]) => Object.entries(item).filter(([key]) => key !== 'parameters').map(([method, op]) => ({ path, method, item, op })))
  const main = byId('main')
  main.replaceChildren(el('h2', {}, doc.info.summary), ...prose(doc.info.description), el('p', {}, el('a', { href: 'openapi.json' }, 'openapi.json')))
  for (const tag of doc.tags) {
    const own = all.filter(one => one.op.tags.includes(tag.name))
    byId('index').append(el('h2', {}, tag.name), ...own.map(({ path, method, op }) => el('a', { href: '#' + op.operationId, title: op.summary }, el('span', { class: `method ${method}` }, method.toUpperCase()), path)))
    main.append(el('h2', {}, tag.name), ...prose(tag.description), ...own.map(({ path, method, item, op }) => operation(path, method, item, op)))
  }
  const hooks = Object.entries(doc.webhooks || {})
  if (hooks.length) {
    byId('index').append(el('h2', {}, 'webhooks'), ...hooks.map(([name]) => el('a', { href: '#hook-' + name }, name)))
    main.append(el('h2', {}, 'webhooks'), ...hooks.map(([name, item]) => {
      const op = resolve(item).post
      return el('section', { id: 'hook-' + name }, el('h3', {}, name, ' ', el('small', {}, op.summary)), prose(op.description),
        Object.entries(resolve(op.requestBody).content).map(([, media]) => [fields(media.schema, false), ...examples(media)]), el('h4', {}, 'Answers'), answers(op))
    }))
  }
  byId('filter').addEventListener('input', event => {
    const words = event.target.value.toLowerCase().split(/\s+/)
    for (const section of main.querySelectorAll('section[data-words]')) section.hidden = !words.every(word => section.dataset.words.includes(word))
    for (const link of byId('index').querySelectorAll('a')) { const target = byId(link.hash.slice(1)); link.hidden = target.hidden; link.style.display = target.hidden ? 'none' : '' }
  })
  if (location.hash) { const target = byId(location.hash.slice(1)); if (target) target.scrollIntoView() }
}

fetch('openapi.json').then(answer => answer.json()).then(read => { doc = read; show() })
  .catch(error => byId('main').replaceChildren(el('p', {}, 'openapi.json could not be shown: ' + error)))
