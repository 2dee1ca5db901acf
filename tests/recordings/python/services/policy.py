"""A house's own decision point: 200 where the rules permit, 403 where they do not."""

from fastapi import FastAPI, Request, Response

app = FastAPI(openapi_url=None)
PERMITTED = {("clerk", "read"), ("clerk", "propose"), ("manager", "read"), ("manager", "remove"), ("manager", "change")}


@app.post("/decide")
async def decide(request: Request) -> Response:
    asked = await request.json()
    return Response(status_code=200 if (asked["role"], asked["action"]) in PERMITTED else 403)
