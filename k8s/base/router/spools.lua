-- `/api/spool` where ingest has several replicas: each knows of its own spool alone, so all are asked and added up.
-- One that does not answer may hold what was acknowledged: without it there is no sum, but its refusal.
local replicas = tonumber(os.getenv("INGEST_REPLICAS"))

local function ask(replica, applet)
    return core.httpclient():get({
        url = "http://127.0.0.1:8405/" .. replica .. "?" .. applet.qs,
        headers = {authorization = applet.headers["authorization"] or {}},
        timeout = 10000,
    })
end

local function answer(applet, status, body)
    applet:set_status(status)
    applet:add_header("content-type", "application/json")
    applet:add_header("content-length", #body)
    applet:start_response()
    applet:send(body)
end

core.register_service("spools", "http", function(applet)
    local batches, bytes, body = 0, 0, ""
    for replica = 0, replicas - 1 do
        local told = ask(replica, applet)
        body = told.body or ""
        local here, size = body:match('"batches":%s*(%d+)'), body:match('"bytes":%s*(%d+)')
        if told.status ~= 200 or not here or not size then
            local refused = told.status == 401 or told.status == 403
            local reason = '{"error":"the spool of dicom-ingest-' .. replica .. ' is not known"}'
            return answer(applet, refused and told.status or 503, refused and body or reason)
        end
        batches, bytes = batches + tonumber(here), bytes + tonumber(size)
    end
    -- Whatever else they say is the same for all.
    body = body:gsub('("batches":%s*)%d+', "%1" .. batches, 1):gsub('("bytes":%s*)%d+', "%1" .. bytes, 1)
    answer(applet, 200, body)
end)
