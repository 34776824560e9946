import httpx
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse

ALLOWED = {"jira.example.com"}


async def consent(request: Request):
    form = await request.form()
    address = form.get("address")
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{address}/api/config")  # BAD ssrf
    return JSONResponse({"status": answer.status_code})


class Upstream(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next):
        address = request.headers.get("X-Upstream")
        async with httpx.AsyncClient() as client:
            await client.get(address)  # BAD ssrf
        return await call_next(request)


async def known(request: Request):
    host = request.query_params["host"]
    if host not in ALLOWED:
        return JSONResponse({"error": "unknown"}, status_code=400)
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"https://{host}/status")
    return JSONResponse({"status": answer.status_code})


async def own(request: Request):
    async with httpx.AsyncClient() as client:
        answer = await client.get(request.app.state.address)
    return JSONResponse({"status": answer.status_code})
