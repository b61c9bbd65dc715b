"""A text in a prompt appears in no file, log, metric or error."""

import glob
import os

CANARY = "canary-7f3a91-kolibri"
# bodies that are wrong in ways that could make an error quote them
WRONG = [
    ("/chat/completions", {"messages": [{"role": "user", "content": CANARY}], "max_tokens": -1}),
    ("/chat/completions", {"messages": [{"role": "user", "content": {"text": CANARY}}]}),
    ("/chat/completions", {"messages": CANARY}),
    ("/chat/completions", {"messages": [{"role": "user", "content": CANARY * 4000}]}),
    ("/chat/completions", {"messages": [{"role": "user", "content": "x"}], "stop": [CANARY, 3]}),
    ("/chat/completions", {"messages": [{"role": "user", "content": CANARY, "reasoning_content": CANARY}],
                           "model": "deepseek-reasoner"}),
    ("/chat/completions", {"messages": [{"role": CANARY, "content": CANARY}]}),
    ("/chat/completions", ('{"' + CANARY + '": 1, "' + CANARY + '": 2}').encode()),
    ("/chat/completions", ('{"' + CANARY + '": ' + CANARY + "}").encode()),
    ("/completions", {"prompt": [CANARY, 1]}),
    ("/completions", {"prompt": CANARY, "temperature": CANARY}),
    ("/tokenize", {"text": [CANARY]}),
    ("/embeddings", {"input": CANARY}),
    ("/chat/completions", ('{"messages": [{"role": "user", "content": "' + CANARY).encode()),
    ("/chat/completions", CANARY.encode() + b"\xff"),
]


async def errors_that_quote(service, key):
    found = []
    for path, body in WRONG:
        connection = service.connection(key)
        if isinstance(body, dict) and "model" not in body:
            body = dict(body, model="deepseek-chat")
        reply = await connection.request("POST", path, body)
        if CANARY.encode() in reply.body and reply.status != 200:
            found.append(reply.body.decode()[:200])
        connection.close()
    return found


async def run(service_of, report, short):
    del short
    service = service_of("--parallel", "2")
    try:
        service.start()
        key = service.key("user", established=True)
        watch = service.connection(service.key("watch", "--rights", "metrics"))
        await service.settle()
        answered = 0
        for path, body in (("/chat/completions", {"messages": [{"role": "user", "content": CANARY}]}),
                           ("/chat/completions", {"messages": [{"role": "system", "content": CANARY},
                                                               {"role": "user", "content": CANARY}], "stream": True}),
                           ("/completions", {"prompt": CANARY}), ("/tokenize", {"text": CANARY})):
            body.update(model="deepseek-chat", **({} if path == "/tokenize" else {"max_tokens": 20}))
            reply = await service.connection(key).request("POST", path, body)
            answered += reply.status == 200
        report.must("requests with the text are answered", answered >= 3, answered=answered)
        quoting = await errors_that_quote(service, key)
        report.must("no error quotes it", not quoting, errors=quoting)
        gone = service.connection(key)
        await gone.chat(CANARY, 400, until_first=True)
        gone.close(reset=True)
        reply = await service.connection(CANARY).request("GET", "/models")
        report.must("nor one about a key", reply.status == 401 and CANARY.encode() not in reply.body, status=reply.status)
        metrics = await watch.request("GET", "/metrics")
        report.must("no metric has it", metrics.status == 200 and CANARY.encode() not in metrics.body)
        dashboards = [f for f in glob.glob("deploy/*.json") + glob.glob("deploy/*.yml")]
        report.must("the metrics that deploy/ names are there", not missing_metrics(dashboards, metrics.body.decode()),
                    missing=missing_metrics(dashboards, metrics.body.decode()))
        service.kill()  # what is in files now is what a crash leaves
        files, having = [], []
        for folder, _, names in os.walk(service.folder):
            files += [os.path.join(folder, n) for n in names]
        for name in files:
            with open(name, "rb") as f:
                data = f.read()
            if CANARY.encode() in data or CANARY.encode("utf-16-le") in data:
                having.append(os.path.relpath(name, service.folder))
        report.must("no file has it", len(files) >= 3 and not having, files=len(files), having=having)
    finally:
        service.remove()


def missing_metrics(files, metrics):
    import re
    there = set(re.findall(r"^# TYPE (fathom_\w+)", metrics, re.M))
    named = set()
    for name in files:
        with open(name) as f:
            named |= set(re.findall(r"\b(fathom_[a-z_]+)", f.read()))
    return sorted(n for n in named if re.sub("_bucket$", "", n) not in there and n not in ("fathom_requests", ))
