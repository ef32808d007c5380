-- Asks tollgate before a request goes on. For HAProxy 2.6 or newer, with Lua (`haproxy -vv`).
--
--   http-request lua.tollgate ADDRESS WHEN_DOWN
--
-- ADDRESS is that of a section of haproxy.cfg whose server is tollgate: that section has the
-- deadline. WHEN_DOWN says what happens while tollgate does not answer: `open` lets the request go
-- on without limits, `closed` answers it with 503. Refused requests are answered here, with the
-- fields and the body of tollgate.
-- For requests that go on, these variables have what is to be told to the client:
--
--   txn.tollgate_ratelimit, txn.tollgate_ratelimit_policy, txn.tollgate_x_limit,
--   txn.tollgate_x_remaining, txn.tollgate_x_reset

-- The question. `deny=403` keeps a limit whose refusals have the status 503 apart from tollgate
-- being down, for which HAProxy itself answers with 502, 503 or 504.
local URL = "http://tollgate/v1/forward-auth?deny=403"

-- The headers of the client that tollgate gets, in lower case: add each one that your policy
-- names, such as `header:x-tenant`. Who the caller is, [server.callers], must come from HAProxy and
-- not from the client: set the variable `txn.tollgate_user` once you have verified it.
-- The first two tell that a browser asks what it may do (a CORS preflight).
local PASSED_ON = { "origin", "access-control-request-method" }

local TOLD = {
    ["ratelimit"] = "txn.tollgate_ratelimit",
    ["ratelimit-policy"] = "txn.tollgate_ratelimit_policy",
    ["x-ratelimit-limit"] = "txn.tollgate_x_limit",
    ["x-ratelimit-remaining"] = "txn.tollgate_x_remaining",
    ["x-ratelimit-reset"] = "txn.tollgate_x_reset",
}

-- What tollgate says to HAProxy, and not to the client.
local NOT_FOR_CLIENTS = { ["connection"] = true, ["content-length"] = true, ["date"] = true,
    ["keep-alive"] = true, ["transfer-encoding"] = true, ["x-ratelimit-status"] = true }

-- The headers of the question. Nothing that the client has written is in them but its method, its
-- URI, its host and what is passed on.
local function question(txn)
    local headers = {
        ["x-forwarded-method"] = { txn.f:method() },
        ["x-forwarded-uri"] = { txn.f:url() },
        ["x-forwarded-for"] = { txn.f:src() },
    }
    local host = txn.f:req_hdr("host")
    if host and host ~= "" then
        headers["x-forwarded-host"] = { host }
    end
    local client = txn.http:req_get_headers()
    for _, name in ipairs(PASSED_ON) do
        local lines = client[name]
        if lines then
            -- HAProxy counts the lines of a header from 0.
            headers[name] = {}
            for index = 0, #lines do
                table.insert(headers[name], lines[index])
            end
        end
    end
    local user = txn:get_var("txn.tollgate_user")
    if user then
        headers["x-user"] = { user }
    end
    return headers
end

-- Answers the request, and ends it.
local function answer(txn, status, headers, body)
    local reply = txn:reply({ status = status })
    for name, lines in pairs(headers) do
        if not NOT_FOR_CLIENTS[name] then
            for _, line in pairs(lines) do
                reply:add_header(name, line)
            end
        end
    end
    reply:set_body(body or "")
    txn:done(reply)
end

local function tollgate(txn, address, when_down)
    local response = core.httpclient():get({ url = URL, dst = address, headers = question(txn) })
    local status = response and response.status or 503
    if status == 200 then
        for name, variable in pairs(TOLD) do
            local lines = response.headers[name]
            if lines then
                txn:set_var(variable, lines[0])
            end
        end
    elseif status >= 400 and status < 500 then
        local of_client = response.headers["x-ratelimit-status"]
        answer(txn, of_client and tonumber(of_client[0]) or status, response.headers, response.body)
    elseif when_down ~= "open" then
        answer(txn, 503, { ["retry-after"] = { "1" }, ["cache-control"] = { "no-store" } })
    end
end

core.register_action("tollgate", { "http-req" }, tollgate, 2)
