package shop.orders;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Profile;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.stereotype.Service;
import org.springframework.transaction.annotation.Transactional;
import org.springframework.web.client.RestClient;

/** What clerks do with an order, each act with its own way of meeting a refusal. */
@Service
@Profile("orders")
class Desk {
    private final Orders orders;
    private final Permits permits;
    private final RestClient billing;

    Desk(Orders orders, Permits permits, RestClient.Builder client, @Value("${billing}") String billing) {
        this.orders = orders;
        this.permits = permits;
        this.billing = client.baseUrl(billing).build();
    }

    /** Reserves first, and asks billing afterwards. */
    String pay(int id, Jwt caller) {
        orders.reserve(id, "paid");
        return billing.post()
                .uri("/charges")
                .header("Authorization", "Bearer " + caller.getTokenValue())
                .body(Map.of("order", id))
                .retrieve()
                .body(String.class);
    }

    /** Writes before it asks for the permit; one transaction holds both. */
    @Transactional
    public void giveBack(int id) {
        orders.reserve(id, "returned");
        permits.toReturn(id);
    }

    /** The margin is left out for those who may not see it. */
    Map<String, Object> sheet(int id, String tenant) {
        var sheet = new LinkedHashMap<String, Object>(orders.find(id, tenant).orElseThrow());
        try {
            sheet.put("margin", permits.margin(id));
        } catch (AccessDeniedException denied) {
            sheet.put("margin", "hidden");
        }
        return sheet;
    }

    /** The mistake on purpose: the refusal is caught, and the order approved all the same. */
    void approve(int id) {
        try {
            permits.toApprove(id);
        } catch (AccessDeniedException denied) {
            LoggerFactory.getLogger(Desk.class).warn("not permitted, approved nevertheless");
        }
        orders.reserve(id, "approved");
    }

    /** Each order for itself. */
    Map<Integer, String> cancel(List<Integer> ids) {
        var outcome = new LinkedHashMap<Integer, String>();
        for (var id : ids) {
            try {
                permits.toCancel(id);
                orders.reserve(id, "cancelled");
                outcome.put(id, "cancelled");
            } catch (AccessDeniedException denied) {
                outcome.put(id, "forbidden");
            }
        }
        return outcome;
    }
}
