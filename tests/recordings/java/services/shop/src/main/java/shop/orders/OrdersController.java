package shop.orders;

import java.util.List;
import java.util.Map;
import org.springframework.context.annotation.Profile;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.security.access.prepost.PreAuthorize;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.web.bind.annotation.DeleteMapping;
import org.springframework.web.bind.annotation.ExceptionHandler;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.HttpClientErrorException;

@RestController
@Profile("orders")
class OrdersController {
    private final Orders orders;
    private final Desk desk;

    OrdersController(Orders orders, Desk desk) {
        this.orders = orders;
        this.desk = desk;
    }

    @GetMapping("/orders/{id}")
    ResponseEntity<Map<String, Object>> one(@PathVariable int id, @AuthenticationPrincipal Jwt caller) {
        return ResponseEntity.of(orders.find(id, tenant(caller)));
    }

    @PostMapping("/orders")
    void add(@RequestBody Map<String, String> order, @AuthenticationPrincipal Jwt caller) {
        orders.add(order.get("tenant"), order.get("item"), tenant(caller));
    }

    @DeleteMapping("/orders/{id}")
    void delete(@PathVariable int id, @AuthenticationPrincipal Jwt caller) {
        orders.delete(id, tenant(caller));
    }

    @GetMapping("/reports")
    @PreAuthorize("hasRole('AUDITOR')")
    List<Map<String, Object>> reports(@AuthenticationPrincipal Jwt caller) {
        return orders.all(tenant(caller));
    }

    @GetMapping("/internal/margins")
    List<Map<String, Object>> margins(@AuthenticationPrincipal Jwt caller) {
        return orders.all(tenant(caller));
    }

    @GetMapping("/ledger")
    Map<String, Object> ledger() {
        return orders.ledger();
    }

    @PostMapping("/orders/{id}/payment")
    String pay(@PathVariable int id, @AuthenticationPrincipal Jwt caller) {
        return desk.pay(id, caller);
    }

    @PostMapping("/orders/{id}/return")
    void giveBack(@PathVariable int id) {
        desk.giveBack(id);
    }

    @GetMapping("/orders/{id}/sheet")
    Map<String, Object> sheet(@PathVariable int id, @AuthenticationPrincipal Jwt caller) {
        return desk.sheet(id, tenant(caller));
    }

    @PostMapping("/orders/{id}/approval")
    void approve(@PathVariable int id) {
        desk.approve(id);
    }

    @PostMapping("/orders/cancellations")
    ResponseEntity<Map<Integer, String>> cancel(@RequestBody List<Integer> ids) {
        return ResponseEntity.status(HttpStatus.MULTI_STATUS).body(desk.cancel(ids));
    }

    /** What billing answered is what our caller is told. */
    @ExceptionHandler
    ResponseEntity<String> relayed(HttpClientErrorException refused) {
        return ResponseEntity.status(refused.getStatusCode()).body("billing refused");
    }

    private static String tenant(Jwt caller) {
        return caller.getClaimAsString("tenant");
    }
}
